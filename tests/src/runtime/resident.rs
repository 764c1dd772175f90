//! LXC and systemd-nspawn: containers that the command which starts them stays beside.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use anyhow::Context as _;

use super::{Env, Leftovers, need};
use crate::host::{self, Host};
use crate::rootfs;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// `lxc-start`.
    Lxc,
    /// `systemd-nspawn`, without a systemd that it could register with.
    Nspawn,
}

/// The containers of one of them. When it goes, so does what they left outside the run's folder.
#[derive(Debug)]
pub struct Residents {
    env: Rc<Env>,
    maker: Maker,
    /// Where LXC has files with which it locks the run's containers.
    locks: PathBuf,
    _leftovers: Leftovers,
}

/// One container, to be started.
#[derive(Debug)]
pub struct Resident {
    /// Its name.
    pub name: String,
    /// What starts it, and stays until it ends; standard input and output are its first program's.
    pub command: Command,
    /// Its cgroup, which is made by the command.
    cgroup: PathBuf,
    /// The command's own.
    beside: PathBuf,
    /// What a service manager would remove at the end.
    unit: Option<PathBuf>,
}

impl Maker {
    /// The name in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lxc => "lxc",
            Self::Nspawn => "nspawn",
        }
    }

    /// What the daemon must call runtime and engine.
    pub fn identity(self) -> &'static str {
        match self {
            Self::Lxc => "lxc",
            Self::Nspawn => "systemd-nspawn",
        }
    }

    fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Lxc => &["lxc-start", "lxc-attach"],
            Self::Nspawn => &["systemd-nspawn"],
        }
    }

    /// Why this machine cannot have it.
    pub fn missing(self, host: &Host) -> Option<String> {
        if let Some(program) = self.programs().iter().find(|program| host::program(program, None).is_none()) {
            return Some(format!("{program} is not installed"));
        }
        let has_v2 = host.identity().is_some_and(|hierarchy| hierarchy.v2);
        (!has_v2).then(|| "its cgroups are looked for in version 2".to_owned())
    }
}

impl Residents {
    /// Ready to make some.
    pub fn open(env: Rc<Env>, maker: Maker) -> Self {
        let locks = PathBuf::from(format!("/run/lxc/lock{}", env.work.display()));
        let folders = locks.ancestors().take_while(|folder| folder.starts_with("/run/lxc"));
        let folders: Vec<&str> = folders.filter_map(Path::to_str).chain(["/run/systemd/nspawn"]).collect();
        let leftovers = Leftovers::note(&folders);
        Self { env, maker, locks, _leftovers: leftovers }
    }

    /// A container with `argv` as its first program, and namespaces of a host process at `/hostns`. `number` tells those
    /// of one name apart.
    ///
    /// # Errors
    /// Its files cannot be written.
    pub fn container(&self, name: &str, argv: &[String], number: usize) -> anyhow::Result<Resident> {
        // systemd-nspawn lets only one have a tree.
        let root = self.env.work.join(self.maker.name()).join(name).join("root");
        rootfs::make(&root, &self.env.rootfs.join("actor"))?;
        fs::create_dir_all(root.join("hostns"))?;
        match self.maker {
            Maker::Lxc => self.lxc(name, &root, argv),
            Maker::Nspawn => self.nspawn(name, &root, argv, number),
        }
    }

    fn lxc_path(&self) -> PathBuf {
        self.env.work.join("lxc")
    }

    fn lxc(&self, name: &str, root: &Path, argv: &[String]) -> anyhow::Result<Resident> {
        let (work, branch) = (self.env.work.display(), &self.env.branch);
        let config = format!(
            "lxc.uts.name = {name}\n\
             lxc.rootfs.path = dir:{root}\n\
             lxc.net.0.type = empty\n\
             lxc.console.path = none\n\
             lxc.apparmor.profile = unconfined\n\
             lxc.mount.auto = proc:mixed sys:ro\n\
             lxc.mount.entry = {work}/ns hostns none rbind 0 0\n\
             lxc.cgroup.dir = {branch}\n",
            root = root.display(),
            branch = branch.name,
        );
        let file = self.lxc_path().join(name).join("config");
        fs::write(&file, config)?;
        let mut command = Command::new(need("lxc-start")?);
        command.args(["--foreground", "--quiet", "--name", name, "--lxcpath"]).arg(self.lxc_path());
        command.arg("--rcfile").arg(&file).args(["--logpriority", "WARN", "--logfile"]);
        command.arg(file.with_file_name("log")).arg("--").args(argv);
        let place = |kind: &str| branch.home.join(format!("lxc.{kind}.{name}"));
        let (cgroup, beside) = (place("payload"), place("monitor"));
        Ok(Resident { name: name.to_owned(), command, cgroup, beside, unit: None })
    }

    fn nspawn(&self, name: &str, root: &Path, argv: &[String], number: usize) -> anyhow::Result<Resident> {
        // As its service is called, or the scope that systemd makes for it, which has the name escaped.
        let unit = match number % 2 {
            0 => format!("systemd-nspawn@{name}.service"),
            _ => format!("machine-{}.scope", name.replace('-', "\\x2d")),
        };
        let unit = self.env.branch.home.join("machine.slice").join(unit);
        fs::create_dir_all(&unit)?;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", r#"echo $$ > "$0/cgroup.procs" && exec "$@""#]).arg(&unit);
        command.arg(need("systemd-nspawn")?).args(["--register=no", "--keep-unit", "--quiet"]);
        command.args(["--console=pipe", "--private-network", "--resolv-conf=off", "--timezone=off"]);
        command.args(["--link-journal=no", "--machine", name, "--directory"]).arg(root);
        command.arg(format!("--bind={}/ns:/hostns", self.env.work.display())).args(argv);
        let (cgroup, beside) = (unit.join("payload"), unit.join("supervisor"));
        Ok(Resident { name: name.to_owned(), command, cgroup, beside, unit: Some(unit) })
    }

    /// What runs a program in a container that runs, if there is such a command.
    ///
    /// # Errors
    /// It is not installed.
    pub fn attach(&self, name: &str, argv: &[String]) -> anyhow::Result<Option<Command>> {
        if self.maker != Maker::Lxc {
            return Ok(None);
        }
        let mut command = Command::new(need("lxc-attach")?);
        command.args(["--quiet", "--name", name, "--lxcpath"]).arg(self.lxc_path()).arg("--").args(argv);
        Ok(Some(command))
    }
}

impl Drop for Residents {
    fn drop(&mut self) {
        // Not there if it made none.
        let _ = fs::remove_dir_all(&self.locks);
    }
}

impl Resident {
    /// Ids of its cgroup and of the one that the command is in.
    ///
    /// # Errors
    /// They are not there.
    pub fn cgroups(&self) -> anyhow::Result<(u64, u64)> {
        let id = |path: &Path| {
            fs::metadata(path).map(|m| m.ino()).with_context(|| format!("no cgroup {}", path.display()))
        };
        Ok((id(&self.cgroup)?, id(&self.beside)?))
    }

    /// Does at its end what a service manager would.
    ///
    /// # Errors
    /// Its cgroups still have a process.
    pub fn ended(&self) -> anyhow::Result<()> {
        let Some(unit) = &self.unit else { return Ok(()) };
        for path in [&self.cgroup, &self.beside, unit] {
            fs::remove_dir(path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
        Ok(())
    }
}
