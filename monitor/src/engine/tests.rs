//! Engines that do not behave, as real servers at real sockets.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{CONNECT_LIMIT, Endpoint, EngineKind, Fault, MAX_ANSWER, Probe, probe};

/// A server that does the same with each connection until it has served `connections`.
fn serve(
    connections: usize,
    answer: impl Fn(&mut UnixStream, &str) + Send + Sync + 'static,
) -> (tempfile::TempDir, Endpoint) {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("s");
    let listener = UnixListener::bind(&socket).expect("bound");
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().take(connections) {
            let Ok(mut stream) = stream else { return };
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || {
                let mut head = [0; 4096];
                let got = stream.read(&mut head).unwrap_or_default();
                let head = String::from_utf8_lossy(&head[..got]).into_owned();
                answer(&mut stream, head.lines().next().unwrap_or_default());
                // It stays open until the other side has heard enough.
                while stream.read(&mut [0; 4096]).is_ok_and(|got| got > 0) {}
            });
        }
    });
    (folder, Endpoint { kind: EngineKind::Docker, socket, given: true })
}

fn look(endpoint: &Endpoint) -> Result<Probe, Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(probe(endpoint, ""))
}

fn say(stream: &mut UnixStream, text: &str) {
    // Whoever has heard enough hangs up.
    let _ = stream.write_all(text.as_bytes());
}

/// An answer with this body.
fn whole(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn an_engine_that_answers() {
    let (_folder, endpoint) = serve(5, |stream, line| {
        say(
            stream,
            &match line.split(' ').nth(1).unwrap_or_default() {
                "/version" => whole(r#"{"Version":"1.2","ApiVersion":"1.41"}"#),
                "/containers/json" => whole(r#"[{"Id":"a"},{"Id":"b"}]"#),
                path if path.starts_with("/events") => "HTTP/1.1 200 OK\r\n\r\n".to_owned(),
                _ => whole("{}"),
            },
        );
    });
    let probe = look(&endpoint).expect("it answers");
    let owner = rustix::process::getuid().as_raw();
    assert_eq!(probe, Probe { version: "1.2".into(), containers: 2, owner });
}

#[test]
fn an_engine_that_is_not_there() {
    let nothing = |socket: PathBuf| look(&Endpoint { kind: EngineKind::Docker, socket, given: true });
    assert!(matches!(nothing("/nonexistent/s".into()), Err(Fault::Absent)));
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("s");
    drop(UnixListener::bind(&socket).expect("bound"));
    assert!(matches!(nothing(socket), Err(Fault::Io(_))));
    assert!(matches!(nothing("/x".repeat(100).into()), Err(Fault::Garbage { .. })));
}

#[test]
fn an_engine_that_never_answers() {
    for said in ["", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"] {
        let (_folder, endpoint) = serve(2, move |stream, line| {
            if !line.is_empty() {
                say(stream, said);
            }
        });
        let began = Instant::now();
        assert!(matches!(look(&endpoint), Err(Fault::TimedOut(CONNECT_LIMIT))), "{said}");
        assert!(began.elapsed() < CONNECT_LIMIT + Duration::from_secs(2));
    }
}

#[test]
fn an_engine_that_talks_nonsense() {
    for said in [
        "\u{0}\u{1}\u{2}\r\n\r\n",
        "SSH-2.0-x\r\n",
        &whole("[]x"),
        &whole(r#"{"Version":7}"#),
        &whole(r#"{"Version":""}"#),
        &whole(&"[".repeat(100_000)),
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        &format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n{{}}", "y".repeat(1 << 20)),
    ] {
        let text = said.to_owned();
        let (_folder, endpoint) = serve(2, move |stream, line| {
            if !line.is_empty() {
                say(stream, &text);
            }
        });
        let short: String = said.chars().take(40).collect();
        assert!(matches!(look(&endpoint), Err(Fault::Garbage { .. })), "{short}");
    }
    let (_folder, endpoint) =
        serve(2, |stream, _| say(stream, "HTTP/1.1 500 x\r\ncontent-length: 0\r\n\r\n"));
    assert!(matches!(look(&endpoint), Err(Fault::Refused { status: 500, .. })));
}

#[test]
fn an_engine_that_never_ends() {
    let declared = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 1_u64 << 40);
    for head in [declared.as_str(), "HTTP/1.1 200 OK\r\n\r\n"] {
        let head = head.to_owned();
        let (_folder, endpoint) = serve(2, move |stream, line| {
            if line.is_empty() {
                return;
            }
            say(stream, &head);
            let piece = vec![b' '; 1 << 16];
            while stream.write_all(&piece).is_ok() {}
        });
        let result = look(&endpoint);
        assert!(matches!(result, Err(Fault::TooLarge(MAX_ANSWER))), "{result:?}");
    }
}

#[test]
fn events_that_are_no_events() {
    for (events, too_large) in [("x".repeat(2 << 20), true), ("{}\nx\n".to_owned(), false)] {
        let (_folder, endpoint) = serve(9, move |stream, line| {
            say(
                stream,
                &match line.split(' ').nth(1).unwrap_or_default() {
                    "/version" => whole(r#"{"Version":"1.2"}"#),
                    path if path.starts_with("/events") => format!("HTTP/1.1 200 OK\r\n\r\n{events}"),
                    _ => whole("{}"),
                },
            );
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let fault = runtime.block_on(async {
            use super::Protocol as _;
            let mut connected = super::docker::Docker::connect(&endpoint).await.expect("connected");
            loop {
                let next = super::docker::Docker::next(&mut connected.events);
                match super::follow::within(CONNECT_LIMIT, next).await {
                    Ok(event) => assert_eq!(event, super::Event::Other),
                    Err(fault) => return fault,
                }
            }
        });
        assert_eq!(matches!(fault, Fault::TooLarge(_)), too_large, "{fault:?}");
        assert_eq!(matches!(fault, Fault::Garbage { .. }), !too_large, "{fault:?}");
    }
}

#[test]
fn an_engine_that_is_busy_is_asked_again() {
    use std::sync::atomic::{AtomicU32, Ordering};
    let asked = AtomicU32::new(0);
    let (_folder, endpoint) = serve(20, move |stream, line| {
        let answer = match line.split(' ').nth(1).unwrap_or_default() {
            "/version" => whole(r#"{"Version":"1.2","ApiVersion":"1.41"}"#),
            "/containers/json" => whole("[]"),
            path if path.starts_with("/events") => "HTTP/1.1 200 OK\r\n\r\n".to_owned(),
            // It holds the container while it starts it, and no event comes afterwards.
            path if path.contains("/containers/") && asked.fetch_add(1, Ordering::Relaxed) == 0 => return,
            path if path.contains("/containers/") => whole(r#"{"Id":"a","Name":"/web"}"#),
            _ => whole("{}"),
        };
        say(stream, &answer);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        use super::follow::{Follower, Said, within};
        let (reports, mut inbox) = tokio::sync::mpsc::channel(16);
        let follower = Follower::start(endpoint, "", 0, reports);
        let limit = Duration::from_secs(20);
        let (mut late, mut name) = (0, None);
        while name.is_none() {
            let next = async { inbox.recv().await.ok_or(Fault::Closed) };
            match within(limit, next).await.expect("something is said").said {
                Said::Up { .. } => assert!(follower.ask("a")),
                Said::Reply { result: Err(Fault::TimedOut(_)), .. } => late += 1,
                Said::Told(answer) => name = answer.identity.name,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((late, name.as_deref()), (1, Some("web")));
    });
}
