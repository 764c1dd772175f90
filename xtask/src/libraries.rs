//! The libraries that a dynamic program needs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use object::{Object as _, ObjectSection as _};

/// Asks the dynamic linker, as ldd(1) does, which guests do not have. None for a program that is linked statically, and
/// for a file that is no program.
pub(crate) fn of(program: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let content = fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    let Some(linker) = interpreter(&content) else { return Ok(Vec::new()) };
    let told = Command::new(&linker).arg("--list").arg(program).env_remove("LD_LIBRARY_PATH").output();
    let told = told.with_context(|| format!("cannot ask {linker}"))?;
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    if let Some(missing) = text.lines().find(|line| line.contains("not found")) {
        bail!("{} needs a library this machine lacks: {}", program.display(), missing.trim());
    }
    Ok(listed(&text))
}

/// The path in the section `.interp`; for a library, which names none, that of this program.
fn interpreter(content: &[u8]) -> Option<String> {
    let file = object::File::parse(content).ok()?;
    file.section_by_name(".dynamic")?;
    path_in(&file)
        .or_else(|| path_in(&object::File::parse(fs::read("/proc/self/exe").ok()?.as_slice()).ok()?))
}

/// It ends in a zero byte.
fn path_in(file: &object::File<'_>) -> Option<String> {
    let path = file.section_by_name(".interp")?.data().ok()?;
    Some(String::from_utf8_lossy(path).trim_end_matches('\0').to_owned())
}

/// The absolute paths in the linker's answer.
fn listed(answer: &str) -> Vec<PathBuf> {
    let paths = answer.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    paths.map(PathBuf::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_the_linker() {
        let text =
            "\tlinux-vdso.so.1 (0x7f)\n\tlibc.so.6 => /lib/libc.so.6 (0x7f)\n\t/lib64/ld-linux.so.2 (0x7f)\n";
        assert_eq!(listed(text), [PathBuf::from("/lib/libc.so.6"), PathBuf::from("/lib64/ld-linux.so.2")]);
        assert!(listed("\tstatically linked\n").is_empty());
    }

    #[test]
    fn of_this_test() {
        let own = std::env::current_exe().expect("a test has a path");
        let names: Vec<String> =
            of(&own).expect("it runs").iter().map(|path| path.display().to_string()).collect();
        assert!(names.iter().any(|name| name.contains("libc.so")), "{names:?}");
        assert!(of(Path::new("/etc/passwd")).expect("no program").is_empty());
    }
}
