//! Verbs and flags. The doc comments are the help.

use std::path::PathBuf;

use monitor_common::counters::Counter;
use monitor_common::policy::BudgetLimit;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::detect::Severity;
use crate::diag::Diagnostic;
use crate::engine::Endpoint;
use crate::ingest::Environment;
use crate::output::Kinds;
use crate::output::transport::socket::DEFAULT_PATH;

/// Watches every container on this host from inside the kernel, and says when one breaks out.
#[derive(Debug, Parser)]
#[command(name = "bulkhead", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Example:\n  bulkhead doctor && bulkhead run --format json | tee bulkhead.jsonl\n\n\
    Exit status: 0 well, 1 findings where the verb asks a question, 2 usage, 3 cannot start.")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Watch, and write records to standard output
    Run(Box<RunArgs>),
    /// Follow a running daemon, one line a record
    Tail(TailArgs),
    /// Show what each sensor gets on this kernel, and what is not seen because of that
    Doctor(DoctorArgs),
    /// Show what each running container was granted, and what of it is dangerous
    Posture(PostureArgs),
    /// Show what is checked
    Rules(RulesArgs),
    /// Take programs, maps and rings out of the kernel that `run --pin` left there
    #[command(after_help = "Example:\n  bulkhead unpin")]
    Unpin {
        /// Folder that was given to --pin
        #[arg(default_value = DEFAULT_PINS)]
        folder: PathBuf,
    },
    /// What the daemon starts to prove its sensors
    #[command(hide = true, after_help = "Example:\n  bulkhead canary /sys/fs/cgroup")]
    Canary {
        /// Mount of the cgroup hierarchy that tells containers apart
        cgroups: PathBuf,
    },
}

/// Where `--pin` pins.
const DEFAULT_PINS: &str = "/sys/fs/bpf/bulkhead";

/// How records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// Lines for people
    Text,
    /// One JSON object a line, for programs
    Json,
}

/// Whether to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The highest rung of the probe ladder that may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RungChoice {
    /// The best that the kernel allows
    Auto,
    /// Trampolines: fentry and fexit
    Trampoline,
    /// Tracepoints only
    Tracepoint,
}

/// What becomes of what containers were granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PostureChoice {
    /// Containers are not looked at
    Off,
    /// Records, and no finding
    None,
    /// Records, and findings from info on
    Info,
    /// Records, and findings from notice on
    Notice,
    /// Records, and findings from warning on
    Warning,
    /// Records, and findings that are critical
    Critical,
}

impl PostureChoice {
    /// The least severity of a finding; `None` if none is wanted.
    pub fn least(self) -> Option<Severity> {
        match self {
            Self::Off | Self::None => None,
            Self::Info => Some(Severity::Info),
            Self::Notice => Some(Severity::Notice),
            Self::Warning => Some(Severity::Warning),
            Self::Critical => Some(Severity::Critical),
        }
    }
}

/// Flags of `run`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  bulkhead run\n  bulkhead run --format json --events exec,mount | jq .\n\n\
    Logs go to standard error. It is ready when the status record `ready` has been written.\n\
    Times in text are UTC. Ctrl-C ends it and detaches everything."
)]
pub struct RunArgs {
    /// How records are written
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub format: OutputFormat,
    /// Events written to standard output: all, none, or kinds separated by commas [default: all for json, none
    /// for text]; findings and the other records are always written
    #[arg(long, value_name = "KINDS")]
    pub events: Option<String>,
    /// Whether text is coloured
    #[arg(long, value_enum, default_value = "auto", value_name = "WHEN")]
    pub color: ColorChoice,
    /// Socket that `bulkhead tail` reads
    #[arg(long, value_name = "PATH", default_value = DEFAULT_PATH)]
    pub socket: PathBuf,
    /// Make no socket
    #[arg(long, conflicts_with = "socket")]
    pub no_socket: bool,
    /// A further OCI runtime to trust; may be repeated
    #[arg(long = "runtime", value_name = "PATH")]
    pub runtimes: Vec<PathBuf>,
    /// A further control socket of an engine, not to be reached from a container; may be repeated
    #[arg(long = "control-socket", value_name = "PATH")]
    pub control_sockets: Vec<PathBuf>,
    /// An engine to ask about containers, beside those that are found at their usual sockets; may be repeated.
    /// Kubernetes' API is asked only if given: kubernetes:KUBECONFIG, or kubernetes:in-cluster for a pod's own account
    #[arg(long = "engine", value_name = "KIND:PATH", value_parser = Endpoint::parse)]
    pub engines: Vec<Endpoint>,
    /// Look for no engines: only those that --engine gives are asked
    #[arg(long)]
    pub no_engines: bool,
    /// Highest rung of the probe ladder that may be used
    #[arg(long, value_enum, default_value = "auto", value_name = "RUNG")]
    pub rung: RungChoice,
    /// A rule to leave out, as `bulkhead rules list` names it; may be repeated
    #[arg(long = "disable-rule", value_name = "ID")]
    pub disabled_rules: Vec<String>,
    /// Look at each container as it starts, write what it was granted, and report what of it is as severe as this
    #[arg(long, value_enum, default_value = "critical", value_name = "SEVERITY")]
    pub posture: PostureChoice,
    /// A further folder in which an OCI runtime keeps its state (`runc --root`); may be repeated
    #[arg(long = "state-root", value_name = "PATH")]
    pub state_roots: Vec<PathBuf>,
    /// Report the environment of programs: all of it, or these variables. It often holds passwords and keys
    #[arg(long = "env", value_name = "NAMES", num_args = 0..=1, require_equals = true, value_delimiter = ',', default_missing_value = "")]
    pub environment: Option<Vec<String>>,
    /// Report the SHA-256 of every executable of a container, once: it is read for that, unless it is larger than this
    #[arg(long, value_name = "MIB", num_args = 0..=1, require_equals = true, default_missing_value = "256", value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    pub hash: Option<u64>,
    /// Records that a container may send of each kind: a second, and at once; 0 for no limit
    #[arg(long, value_name = "RATE[,BURST]", default_value = "20000,40000", value_parser = budget)]
    pub budget: Budget,
    /// The same for kinds that rules judge, which have a ring of their own
    #[arg(long, value_name = "RATE[,BURST]", default_value = "2000,4000", value_parser = budget)]
    pub critical_budget: Budget,
    /// Keep programs, maps and rings in the kernel when the daemon ends, whatever it dies of, pinned below this folder of
    /// a BPF file system; the next start with the same folder goes on with them
    #[arg(long, value_name = "FOLDER", num_args = 0..=1, require_equals = true, default_missing_value = DEFAULT_PINS)]
    pub pin: Option<PathBuf>,
    /// Write the accounts every so many seconds; they are always written at the end
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub accounts: Option<u64>,
    /// Entries that a kernel map holds, as a loss record names it; may be repeated
    #[arg(long = "map-limit", value_name = "MAP=ENTRIES", value_parser = map_limit)]
    pub map_limits: Vec<(String, u32)>,
    /// Name of this machine in every record [default: its host name], and that by which Kubernetes knows it [default:
    /// the variable NODE_NAME, or its host name]
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,
    /// eBPF object to load in place of the one in this binary
    #[arg(long, value_name = "PATH", hide = true)]
    pub object: Option<PathBuf>,
    /// A kernel field to be treated as missing, for tests; may be repeated
    #[arg(long, value_name = "FIELD", hide = true)]
    pub without_field: Vec<String>,
    /// Load the program that `cargo xtask bench` has write records
    #[arg(long, hide = true)]
    pub bench: bool,
    /// Say more on standard error; twice for still more
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

impl RunArgs {
    /// Which variables of programs' environments are wanted.
    pub fn environment(&self) -> Environment {
        match self.environment.as_deref() {
            None => Environment::Nothing,
            Some(names) if names.iter().all(String::is_empty) => Environment::Whole,
            Some(names) => Environment::Names(names.iter().map(|n| n.as_bytes().to_vec()).collect()),
        }
    }

    /// Which records go to standard output.
    ///
    /// # Errors
    /// A kind of event that does not exist.
    pub fn kinds(&self) -> Result<Kinds, Diagnostic> {
        match (&self.events, self.format) {
            (Some(events), _) => Kinds::parse_events(events),
            (None, OutputFormat::Json) => Ok(Kinds::ALL),
            (None, OutputFormat::Text) => Ok(Kinds::NO_EVENTS),
        }
    }
}

/// Flags of `tail`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  bulkhead tail --severity warning\n  \
    bulkhead tail --container 'web-*' --kind exec,connect,finding\n\n\
    Times are UTC. A word about lost records passes every filter, unless it is about another container.\n\
    Exit status 0 when it is interrupted, when nobody reads its output, or when the daemon stops;\n\
    3 when there is no daemon, or it goes away without saying that it stops.")]
pub struct TailArgs {
    /// Socket of the daemon
    #[arg(long, value_name = "PATH", default_value = DEFAULT_PATH)]
    pub socket: PathBuf,
    /// Only this container: a part of its name, id, pod or service, or a pattern with * and ?; `host` for none;
    /// may be repeated
    #[arg(long = "container", value_name = "PATTERN")]
    pub containers: Vec<String>,
    /// Only these kinds of events and types of records, separated by commas
    #[arg(long, value_name = "KINDS")]
    pub kind: Option<String>,
    /// Only findings of at least this severity (info, notice, warning, critical), and what --kind names
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    pub severity: Option<Severity>,
    /// Also show what trusted runtimes do while they set containers up and join them
    #[arg(long)]
    pub setup: bool,
    /// How records are written
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub format: OutputFormat,
    /// Whether text is coloured
    #[arg(long, value_enum, default_value = "auto", value_name = "WHEN")]
    pub color: ColorChoice,
    /// Columns of a line [default: those of the terminal; lines are not cut in a pipe]
    #[arg(long, value_name = "COLUMNS")]
    pub width: Option<u16>,
}

/// Flags of `doctor`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  bulkhead doctor --format json")]
pub struct DoctorArgs {
    /// An engine to ask, beside those that are found at their usual sockets; may be repeated. As with `run`
    #[arg(long = "engine", value_name = "KIND:PATH", value_parser = Endpoint::parse)]
    pub engines: Vec<Endpoint>,
    /// Look for no engines
    #[arg(long)]
    pub no_engines: bool,
    /// How the report is written
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub format: OutputFormat,
    /// Highest rung of the probe ladder that may be used
    #[arg(long, value_enum, default_value = "auto", value_name = "RUNG")]
    pub rung: RungChoice,
    /// eBPF object to load in place of the one in this binary
    #[arg(long, value_name = "PATH", hide = true)]
    pub object: Option<PathBuf>,
    /// A kernel field to be treated as missing, for tests; may be repeated
    #[arg(long, value_name = "FIELD", hide = true)]
    pub without_field: Vec<String>,
}

/// Flags of `posture`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  bulkhead posture --fail-on critical\n  \
    bulkhead posture --container 'web-*' --format json | jq .findings\n  bulkhead posture --explain web\n\n\
    Reads /proc, cgroups and OCI configurations once: no daemon is needed, and no program is loaded.\n\
    Exit status 1 if --fail-on is given and something is as severe as that.")]
pub struct PostureArgs {
    /// Only this container: a part of its name, id, pod or service, or a pattern with * and ?; may be repeated
    #[arg(long = "container", value_name = "PATTERN")]
    pub containers: Vec<String>,
    /// Show everything that this container was granted: declared, observed, verdict
    #[arg(long, value_name = "PATTERN", conflicts_with = "containers")]
    pub explain: Option<String>,
    /// Exit with 1 if a container has a finding of at least this severity (info, notice, warning, critical)
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    pub fail_on: Option<Severity>,
    /// How the report is written
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub format: OutputFormat,
    /// Whether text is coloured
    #[arg(long, value_enum, default_value = "auto", value_name = "WHEN")]
    pub color: ColorChoice,
    /// A further control socket of an engine, not to be reached from a container; may be repeated
    #[arg(long = "control-socket", value_name = "PATH")]
    pub control_sockets: Vec<PathBuf>,
    /// A further folder in which an OCI runtime keeps its state (`runc --root`); may be repeated
    #[arg(long = "state-root", value_name = "PATH")]
    pub state_roots: Vec<PathBuf>,
}

/// Flags of `rules`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  bulkhead rules explain C01")]
pub struct RulesArgs {
    /// What to show.
    #[command(subcommand)]
    pub verb: RulesVerb,
}

/// What to show of the rules.
#[derive(Debug, Subcommand)]
pub enum RulesVerb {
    /// List every rule: id, severity, title
    #[command(after_help = "Example:\n  bulkhead rules list --format json")]
    List {
        /// How the list is written
        #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
        format: OutputFormat,
    },
    /// Explain a rule: what it means, and when it is benign
    #[command(after_help = "Example:\n  bulkhead rules explain I-1")]
    Explain {
        /// Id of the rule, as `list` shows it
        #[arg(value_name = "ID")]
        id: String,
        /// How the explanation is written
        #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
        format: OutputFormat,
    },
}

/// What a container may send of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Records a second.
    pub rate: u64,
    /// Records at once.
    pub burst: u64,
}

impl Budget {
    /// As the kernel side takes it.
    pub fn limit(self) -> BudgetLimit {
        BudgetLimit::new(self.rate, self.burst)
    }
}

fn budget(text: &str) -> Result<Budget, String> {
    let number = |text: &str| text.trim().parse::<u64>().map_err(|e| format!("`{text}`: {e}"));
    let (rate, burst) = match text.split_once(',') {
        Some((rate, burst)) => (number(rate)?, number(burst)?),
        None => (number(text)?, number(text)?.saturating_mul(2)),
    };
    if rate > 0 && burst == 0 {
        Err("a burst of 0 lets nothing pass".into())
    } else {
        Ok(Budget { rate, burst })
    }
}

fn map_limit(text: &str) -> Result<(String, u32), String> {
    let known = || Counter::ALL.iter().map(|c| c.map()).collect::<Vec<_>>().join(", ");
    let (map, limit) = text.split_once('=').ok_or("give it as MAP=ENTRIES")?;
    if !Counter::ALL.iter().any(|c| c.map() == map) {
        return Err(format!("no map `{map}`; known are: {}", known()));
    }
    match limit.parse() {
        Ok(limit) if limit > 0 => Ok((map.to_owned(), limit)),
        _ => Err(format!("`{limit}` is no number of entries")),
    }
}

fn severity(text: &str) -> Result<Severity, String> {
    let all = [Severity::Info, Severity::Notice, Severity::Warning, Severity::Critical];
    let found = all.into_iter().find(|s| s.name() == text);
    found.ok_or_else(|| format!("known are: {}", all.map(Severity::name).join(", ")))
}
