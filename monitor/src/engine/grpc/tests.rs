//! A server that does what it should, and others that do not.

use std::future::Future;
use std::path::PathBuf;
use std::time::Instant;

use h2::server::SendResponse;
use tempfile::TempDir;
use tokio::net::UnixListener;

use http::Response;

use super::*;

const METHOD: Method = Method { path: "/test.Service/Method", largest: 1 << 20 };

#[derive(Clone, PartialEq, Message)]
struct Word {
    #[prost(string, tag = "1")]
    text: String,
}

fn word(text: &str) -> Word {
    Word { text: text.to_owned() }
}

fn limits() -> Limits {
    Limits { connect: Duration::from_secs(5), call: Duration::from_secs(5) }
}

fn on_runtime<F: Future>(test: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime").block_on(test)
}

fn socket() -> (TempDir, PathBuf, UnixListener) {
    let folder = tempfile::tempdir().expect("temp dir");
    let path = folder.path().join("s");
    let listener = UnixListener::bind(&path).expect("bound");
    (folder, path, listener)
}

/// A server of one connection that answers every call with `answer`.
async fn serving(
    answer: fn(Request<RecvStream>, SendResponse<Bytes>),
    limits: Limits,
) -> (TempDir, Connection) {
    let (folder, path, listener) = socket();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("accepted");
        let mut server = h2::server::handshake(stream).await.expect("handshake");
        while let Some(Ok((request, respond))) = server.accept().await {
            answer(request, respond);
        }
    });
    let connection = Connection::open(&path, limits).await.expect("connected");
    (folder, connection)
}

fn ok() -> Response<()> {
    Response::builder().header("content-type", "application/grpc").body(()).expect("response")
}

fn trailers(code: &str, message: &str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", code.parse().expect("value"));
    trailers.insert("grpc-message", message.parse().expect("value"));
    trailers
}

fn answer_with(respond: &mut SendResponse<Bytes>, data: Vec<Bytes>, end: HeaderMap) {
    let mut send = respond.send_response(ok(), false).expect("response");
    for data in data {
        send.send_data(data, false).expect("data");
    }
    send.send_trailers(end).expect("trailers");
}

#[test]
fn a_question_and_its_answer() {
    on_runtime(async {
        let (_folder, connection) = serving(
            |request, mut respond| {
                assert_eq!(request.uri().path(), METHOD.path);
                let namespace = request.headers()["containerd-namespace"].to_str().expect("text").to_owned();
                answer_with(&mut respond, vec![framed(&word(&namespace))], trailers("0", ""));
            },
            limits(),
        )
        .await;
        for namespace in ["k8s.io", "moby"] {
            let got: Word = connection.call(METHOD, Some(namespace), &word("x")).await.expect("answer");
            assert_eq!(got, word(namespace));
        }
        // A container may be in a namespace of any name; one that is no header is an error, not a panic.
        assert!(connection.call::<Word>(METHOD, Some("a\nb"), &word("x")).await.is_err());
    });
}

#[test]
fn refusals_have_a_code_and_bounded_words() {
    on_runtime(async {
        let (_folder, connection) = serving(
            |_, mut respond| {
                let mut response = ok();
                let words = format!("unknown%20service%{}", "z".repeat(4000));
                response.headers_mut().extend(trailers("12", &words));
                respond.send_response(response, true).expect("response");
            },
            limits(),
        )
        .await;
        let error = connection.call::<Word>(METHOD, None, &word("x")).await.expect_err("refused");
        assert!(error.is_unimplemented() && error.is_about_one_call() && !error.is_not_found());
        let GrpcError::Refused { message, .. } = error else { panic!("{error}") };
        assert!(message.starts_with("unknown service%zz") && message.len() == MAX_MESSAGE, "{message}");
    });
}

#[test]
fn a_stream_goes_on_and_ends() {
    on_runtime(async {
        let (_folder, connection) = serving(
            |_, mut respond| {
                let words: Vec<u8> = ["a", "b"].iter().flat_map(|text| framed(&word(text))).collect();
                let (one, two) = words.split_at(6);
                let pieces = [one, two].map(Bytes::copy_from_slice);
                answer_with(&mut respond, pieces.into(), trailers("14", "stopping"));
            },
            limits(),
        )
        .await;
        let mut replies = connection.stream(METHOD, None, &word("")).await.expect("stream");
        assert_eq!(replies.next().await.expect("one"), Some(word("a")));
        assert_eq!(replies.next().await.expect("two"), Some(word("b")));
        let end = replies.next::<Word>().await;
        assert!(matches!(end, Err(GrpcError::Refused { code: 14, .. })), "{end:?}");
    });
}

#[test]
fn what_is_no_answer_is_an_error() {
    type Answer = fn(Request<RecvStream>, SendResponse<Bytes>);
    let cases: &[(&str, Answer)] = &[
        ("HTTP status 404", |_, mut respond| {
            let response = Response::builder().status(404).body(()).expect("response");
            respond.send_response(response, true).expect("sent");
        }),
        ("content type", |_, mut respond| {
            respond.send_response(Response::new(()), true).expect("sent");
        }),
        ("without a status", |_, mut respond| {
            let mut send = respond.send_response(ok(), false).expect("sent");
            send.send_data(framed(&word("x")), true).expect("data");
        }),
        ("without a message", |_, mut respond| answer_with(&mut respond, vec![], trailers("0", ""))),
        ("more than one", |_, mut respond| {
            answer_with(&mut respond, vec![framed(&word("")), framed(&word(""))], trailers("0", ""));
        }),
        ("within a message", |_, mut respond| {
            answer_with(&mut respond, vec![Bytes::from_static(&[0, 0])], trailers("0", ""));
        }),
        ("compressed", |_, mut respond| {
            answer_with(&mut respond, vec![Bytes::from_static(&[1, 0, 0, 0, 0])], trailers("0", ""));
        }),
        ("1048577 bytes", |_, mut respond| {
            answer_with(&mut respond, vec![Bytes::from_static(&[0, 0, 0x10, 0, 1])], trailers("0", ""));
        }),
        ("message that was asked for", |_, mut respond| {
            answer_with(&mut respond, vec![Bytes::from_static(&[0, 0, 0, 0, 1, 0xff])], trailers("0", ""));
        }),
        ("connection failed", |_, mut respond| respond.send_reset(h2::Reason::INTERNAL_ERROR)),
    ];
    on_runtime(async {
        for (wanted, answer) in cases {
            let (_folder, connection) = serving(*answer, limits()).await;
            let error =
                connection.call::<Word>(METHOD, None, &word("x")).await.expect_err(wanted).to_string();
            assert!(error.contains(wanted), "{wanted}: {error}");
        }
    });
}

#[test]
fn an_answer_of_the_largest_size_comes_whole() {
    on_runtime(async {
        let (_folder, connection) = serving(
            |_, mut respond| {
                let large = framed(&word(&"x".repeat((1 << 20) - 4)));
                answer_with(&mut respond, vec![large], trailers("0", ""));
            },
            limits(),
        )
        .await;
        // Far more than a window's worth in one call, and again in the next.
        for _ in 0..6 {
            let got: Word = connection.call(METHOD, None, &word("x")).await.expect("answer");
            assert_eq!(got.text.len(), (1 << 20) - 4);
        }
    });
}

#[test]
fn nobody_who_never_answers_is_waited_for() {
    let short = Limits { call: Duration::from_millis(50), ..limits() };
    on_runtime(async {
        // Accepts nothing, accepts and says nothing, answers the connection but not the question.
        let (_folder, path, listener) = socket();
        let connection = Connection::open(&path, short).await.expect("the kernel connects");
        let begin = Instant::now();
        let silent = connection.call::<Word>(METHOD, None, &word("x")).await;
        assert!(matches!(silent, Err(GrpcError::Timeout(limit)) if limit == short.call), "{silent:?}");
        let (_held, _) = listener.accept().await.expect("accepted");
        thread_local! {
            static HELD: std::cell::RefCell<Vec<SendResponse<Bytes>>> = const { std::cell::RefCell::new(Vec::new()) };
        }
        let (_folder, connection) =
            serving(|_, respond| HELD.with_borrow_mut(|held| held.push(respond)), short).await;
        assert!(matches!(
            connection.call::<Word>(METHOD, None, &word("x")).await,
            Err(GrpcError::Timeout(_))
        ));
        assert!(begin.elapsed() < Duration::from_secs(4));
        // A stream may be silent for as long as it likes, even before its headers.
        let (_folder, connection) = serving(
            |_, mut respond| {
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(150)).await;
                    answer_with(&mut respond, vec![framed(&word("late"))], trailers("0", ""));
                });
            },
            short,
        )
        .await;
        let mut replies = connection.stream(METHOD, None, &word("")).await.expect("stream");
        assert_eq!(replies.next().await.expect("late"), Some(word("late")));
    });
}

#[test]
fn no_server_and_no_grpc() {
    on_runtime(async {
        let nowhere = Connection::open(Path::new("/nowhere/s"), limits()).await;
        assert!(matches!(nowhere, Err(GrpcError::Connect(_))));
        let (_folder, path, listener) = socket();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("accepted");
            let _ =
                tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        });
        let connection = Connection::open(&path, limits()).await.expect("connected");
        let error = connection.call::<Word>(METHOD, None, &word("x")).await.expect_err("no HTTP/2");
        assert!(matches!(error, GrpcError::Transport(_)) && !error.is_about_one_call(), "{error}");
    });
}
