//! What the figures were measured on, and how quiet it was.

use std::fmt;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::project::{Project, read_trimmed};

/// Facts that stand above every table.
pub(crate) struct Machine {
    pub(crate) kernel: String,
    pub(crate) cpu: String,
    pub(crate) cpus: usize,
    /// What of the CPU's bugs costs time: `retbleed: …`, those not affected left out.
    pub(crate) mitigations: Vec<String>,
    pub(crate) commit: String,
}

impl Machine {
    /// Reads them.
    pub(crate) fn read(project: &Project) -> Self {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let git = |args: &[&str]| project.cmd("git").args(args).ignore_stderr().read().unwrap_or_default();
        let dirty = if git(&["status", "--porcelain"]).is_empty() { "" } else { " with changes" };
        Self {
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            cpu: model.map_or("unknown", |(_, name)| name).to_owned(),
            cpus: std::thread::available_parallelism().map_or(0, usize::from),
            mitigations: mitigations(Path::new("/sys/devices/system/cpu/vulnerabilities")),
            commit: format!("{}{dirty}", git(&["rev-parse", "--short", "HEAD"])),
        }
    }

    /// A line each.
    pub(crate) fn lines(&self) -> Vec<String> {
        vec![
            format!("kernel       {}", self.kernel),
            format!("CPU          {} × {}", self.cpus, self.cpu),
            format!("mitigations  {}", self.mitigations.join("; ")),
            format!("commit       {}", self.commit),
        ]
    }

    /// For the raw file.
    pub(crate) fn json(&self) -> Value {
        json!({
            "kernel": self.kernel, "cpu": self.cpu, "cpus": self.cpus,
            "mitigations": self.mitigations, "commit": self.commit,
        })
    }
}

fn mitigations(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<String> = entries
        .flatten()
        .filter_map(|entry| {
            let says = read_trimmed(&entry.path())?;
            let short = says.strip_prefix("Mitigation: ").unwrap_or(&says);
            (says != "Not affected").then(|| format!("{}: {short}", entry.file_name().to_string_lossy()))
        })
        .collect();
    found.sort();
    found
}

/// The whole machine's clocks at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clocks {
    /// Ticks of all kinds, from `/proc/stat`.
    ticks: f64,
    /// Ticks of them in which the hypervisor ran somebody else.
    steal: f64,
    /// Microseconds in which a task waited for a CPU, from `/proc/pressure/cpu`.
    pressure: f64,
    at: std::time::Instant,
}

/// How disturbed a time was, in percent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Disturbance {
    /// Of all CPU time: taken by the hypervisor.
    pub(crate) steal: f64,
    /// Of the time: some task waited for a CPU.
    pub(crate) pressure: f64,
}

impl fmt::Display for Disturbance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (steal, pressure) = (self.steal, self.pressure);
        write!(f, "steal {steal:.2} %, some task waited for a CPU in {pressure:.0} % of the time")
    }
}

impl Clocks {
    /// Now.
    pub(crate) fn read() -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let (ticks, steal) = cpu_line(&stat);
        let pressure = fs::read_to_string("/proc/pressure/cpu").unwrap_or_default();
        Self { ticks, steal, pressure: stalled(&pressure), at: std::time::Instant::now() }
    }

    /// From then until now.
    pub(crate) fn since(self) -> Disturbance {
        let now = Self::read();
        let micros = (now.at - self.at).as_micros() as f64;
        let percent = |part: f64, whole: f64| if whole > 0.0 { 100.0 * part / whole } else { 0.0 };
        Disturbance {
            steal: percent(now.steal - self.steal, now.ticks - self.ticks),
            pressure: percent(now.pressure - self.pressure, micros),
        }
    }
}

/// All ticks, and the stolen ones: the first eight columns; guests' are in them already.
fn cpu_line(stat: &str) -> (f64, f64) {
    let numbers = stat.lines().next().unwrap_or_default().split_whitespace().skip(1).take(8);
    let numbers: Vec<f64> = numbers.filter_map(|word| word.parse().ok()).collect();
    (numbers.iter().sum(), numbers.get(7).copied().unwrap_or(0.0))
}

fn stalled(pressure: &str) -> f64 {
    let line = pressure.lines().find(|line| line.starts_with("some"));
    line.and_then(|line| line.rsplit_once("total=")?.1.parse().ok()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words() {
        assert_eq!(cpu_line("cpu  1 2 3 4 5 6 7 8 90 90\ncpu0 1\n"), (36.0, 8.0));
        assert_eq!(stalled("some avg10=0.00 avg60=0.00 avg300=0.00 total=42\nfull total=9\n"), 42.0);
        assert_eq!((cpu_line(""), stalled("")), ((0.0, 0.0), 0.0));
    }
}
