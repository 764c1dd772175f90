//! Who may use what. `docs/architecture.md` says why.

use super::source::{code, mentions};

/// Files, and words that their code must not have.
pub(crate) struct Layer {
    /// Beginnings of paths.
    pub(crate) inside: &'static [&'static str],
    /// Beginnings of paths that are excepted.
    except: &'static [&'static str],
    /// Words, each with what it stands for.
    forbidden: &'static [&'static str],
}

impl Layer {
    /// True if the file is in it.
    pub(crate) fn covers(&self, path: &str) -> bool {
        let starts = |list: &[&str]| list.iter().any(|start| path.starts_with(start));
        starts(self.inside) && !starts(self.except)
    }
}

/// The parts that give the same findings for the same records, on any machine.
const PURE: &[&str] = &[
    "monitor/src/ingest/",
    "monitor/src/kmsg/",
    "monitor/src/process/",
    "monitor/src/detect/",
    "monitor/src/pipeline",
    "monitor/src/container/registry",
    "monitor/src/container/runtime.rs",
    "monitor/src/container/pattern.rs",
    "monitor/src/container/kubepods.rs",
    "monitor/src/container/identity.rs",
    "monitor/src/container/types.rs",
    "monitor/src/posture/baseline.rs",
    "monitor/src/posture/check.rs",
    "monitor/src/posture/config.rs",
    "monitor/src/posture/explain.rs",
    "monitor/src/posture/judge/",
    "monitor/src/posture/mountinfo.rs",
    "monitor/src/posture/question.rs",
    "monitor/src/posture/report",
    "monitor/src/posture/rules.rs",
];

/// Every rule about who may use what.
pub(crate) const LAYERS: &[Layer] = &[
    // What crosses the boundary, and nothing else.
    Layer {
        inside: &["monitor-common/src/"],
        except: &[],
        forbidden: &["std", "alloc", "String", "Vec", "serde", "tokio", "aya", "aya_ebpf", "unsafe"],
    },
    // One module knows BPF; `app` embeds the object with aya's macro.
    Layer {
        inside: &["monitor/src/"],
        except: &["monitor/src/bpf/", "monitor/src/app/mod.rs"],
        forbidden: &["aya", "aya_obj", "aya_log"],
    },
    Layer {
        inside: &["monitor/src/app/mod.rs"],
        except: &[],
        forbidden: &["aya::maps", "aya::programs", "aya::Ebpf"],
    },
    Layer {
        inside: PURE,
        except: &[],
        forbidden: &[
            "tokio",
            "std::fs",
            "fs::",
            "std::net",
            "std::thread",
            "std::env",
            "std::process",
            "File::",
            "Instant",
            "SystemTime",
            "std::time",
            "clock_gettime",
            "Clock::now",
            "rustix",
            "libc",
        ],
    },
    // Each stage knows the ones before it, never the ones after.
    Layer {
        inside: &["monitor/src/ingest/"],
        except: &[],
        forbidden: &[
            "crate::container",
            "crate::process",
            "crate::detect",
            "crate::output",
            "crate::pipeline",
        ],
    },
    Layer {
        inside: &["monitor/src/process/"],
        except: &[],
        forbidden: &["Registry", "Resolver", "Baseline", "crate::detect", "crate::output", "crate::pipeline"],
    },
    Layer {
        inside: &["monitor/src/container/"],
        except: &[],
        forbidden: &["crate::engine", "crate::detect", "crate::output", "crate::pipeline", "tokio"],
    },
    // What engines say reaches the hot thread as an update about a container, and in no other way.
    Layer {
        inside: &["monitor/src/engine/"],
        except: &[],
        forbidden: &[
            "crate::bpf",
            "crate::detect",
            "crate::output",
            "crate::pipeline",
            "crate::posture",
            "crate::cli",
        ],
    },
    Layer {
        inside: &["monitor/src/detect/", "monitor/src/posture/", "monitor/src/output/"],
        except: &[],
        forbidden: &["crate::engine"],
    },
    Layer { inside: &["monitor/src/detect/"], except: &[], forbidden: &["crate::output", "crate::pipeline"] },
    Layer {
        inside: &["monitor/src/bpf/"],
        except: &[],
        forbidden: &[
            "crate::container",
            "crate::process",
            "crate::detect",
            "crate::output",
            "crate::pipeline",
            "tokio",
        ],
    },
    // What is granted is found out without the kernel side, and without what it records.
    Layer {
        inside: &["monitor/src/posture/"],
        except: &[],
        forbidden: &["crate::bpf", "crate::ingest", "crate::pipeline", "crate::tail", "crate::cli", "tokio"],
    },
    // Only `cli` starts `app`, and only `app` puts the parts together.
    Layer {
        inside: &["monitor/src/"],
        except: &["monitor/src/app/", "monitor/src/cli/"],
        forbidden: &["crate::app"],
    },
    // A format cannot fail, and reads nothing but its record.
    Layer {
        inside: &[
            "monitor/src/output/format/",
            "monitor/src/output/describe.rs",
            "monitor/src/output/emitter.rs",
            "monitor/src/output/escape.rs",
            "monitor/src/output/fields.rs",
            "monitor/src/output/line.rs",
            "monitor/src/output/record.rs",
            "monitor/src/output/summary.rs",
        ],
        except: &[],
        forbidden: &[
            "tokio",
            "std::fs",
            "File::",
            "Instant",
            "SystemTime",
            "std::time",
            "clock_gettime",
            "Clock::now",
            "rustix",
            "libc",
            "UnixStream",
            "TcpStream",
            "stdout",
            "transport",
        ],
    },
    // A transport carries bytes.
    Layer {
        inside: &["monitor/src/output/transport/"],
        except: &[],
        forbidden: &[
            "crate::detect",
            "crate::container",
            "crate::process",
            "Finding",
            "EventRef",
            "Subject",
            "Record",
            "serde_json",
            "monitor_common",
        ],
    },
    // The reader of another daemon's lines needs no kernel.
    Layer {
        inside: &["monitor/src/tail/"],
        except: &[],
        forbidden: &["crate::bpf", "crate::pipeline", "crate::ingest", "crate::container::Resolver"],
    },
    Layer {
        inside: &["monitor/src/diag/"],
        except: &[],
        forbidden: &[
            "crate::app",
            "crate::bpf",
            "crate::cli",
            "crate::container",
            "crate::detect",
            "Emitter",
            "Record",
            "tokio",
            "std::fs",
        ],
    },
    // anyhow is for programs, typed errors for the library.
    Layer {
        inside: &["monitor/src/"],
        except: &["monitor/src/cli/", "monitor/src/app/"],
        forbidden: &["anyhow"],
    },
    // Records are written in one place.
    Layer {
        inside: &["monitor-ebpf/src/"],
        except: &["monitor-ebpf/src/emit.rs", "monitor-ebpf/src/maps.rs"],
        forbidden: &["CRITICAL.reserve", "BULK", "RingBuf", "RingBufEntry", "reserve_untyped"],
    },
    // The chores build the daemon; they are no part of it.
    Layer {
        inside: &["xtask/src/"],
        except: &[],
        forbidden: &["monitor::", "monitor_common", "aya", "tokio"],
    },
];

/// What a file uses that it must not.
pub(crate) fn complaints(path: &str, text: &str) -> Vec<String> {
    let code = code(text);
    let layers = LAYERS.iter().filter(|layer| layer.covers(path));
    let words = layers.flat_map(|layer| layer.forbidden).filter(|word| mentions(&code, word));
    words.map(|word| format!("must not use `{word}`")).collect()
}

#[test]
fn a_file_in_the_wrong_layer_is_found() {
    for (path, text) in [
        ("monitor-common/src/event/mod.rs", "fn name() -> String {}"),
        ("monitor/src/detect/mount.rs", "use std::time::Instant;"),
        ("monitor/src/kmsg/report.rs", "std::fs::read(path)"),
        ("monitor/src/pipeline.rs", "std::fs::read(path)"),
        ("monitor/src/pipeline/canary.rs", "tokio::spawn(x)"),
        ("monitor/src/output/format/text.rs", "let now = Clock::now();"),
        ("monitor/src/output/transport/socket.rs", "use crate::detect::Finding;"),
        ("monitor/src/tail/mod.rs", "use aya::Ebpf;"),
        ("monitor/src/app/mod.rs", "use aya::maps::HashMap;"),
        ("monitor/src/container/registry.rs", "use std::fs::File;"),
        ("monitor/src/container/resolve.rs", "use crate::engine::Answer;"),
        ("monitor/src/engine/desk.rs", "use crate::pipeline::Pipeline;"),
        ("monitor/src/output/queue.rs", "crate::app::run()"),
        ("monitor/src/posture/judge/masks.rs", "std::fs::metadata(path)"),
        ("monitor/src/posture/gather/mod.rs", "crate::bpf::load()"),
        ("monitor-ebpf/src/hooks/process.rs", "CRITICAL.reserve_untyped()"),
    ] {
        assert!(!complaints(path, text).is_empty(), "{path}: {text}");
        assert!(complaints(path, "// std::fs, tokio\nfn fine() {}").is_empty());
        assert!(complaints("tests/src/host.rs", text).is_empty());
    }
}
