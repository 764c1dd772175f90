//! A server with real TLS at a port of the loopback, which says what a test has it say.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::parties::PARTIES;

/// What is said to one request.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// Head and body; the connection is good for more.
    Whole(String),
    /// A body that ends with the connection.
    Ends(String),
    /// A body that never ends.
    Endless,
    /// Nothing.
    Silence,
}

impl Answer {
    pub(super) fn whole(body: &str) -> Self {
        Self::Whole(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
    }

    pub(super) fn status(code: u16) -> Self {
        let body = format!(r#"{{"kind":"Status","status":"Failure","code":{code}}}"#);
        Self::Whole(format!("HTTP/1.1 {code} X\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
    }

    pub(super) fn lines(body: &str) -> Self {
        Self::Ends(format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{body}"))
    }
}

/// A server; its threads end with the test.
pub(super) struct Server {
    pub(super) port: u16,
}

impl Server {
    /// Starts one that answers by a request's head and path.
    pub(super) fn start(answer: impl Fn(&str, &str) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_with(false, answer)
    }

    /// Starts one that may ask for a client certificate.
    pub(super) fn start_with(
        asks: bool,
        answer: impl Fn(&str, &str) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let certificate = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate");
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("versions");
        let builder = if asks {
            let mut roots = RootCertStore::empty();
            roots.add(certificate(&PARTIES.ca)).expect("added");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
        } else {
            builder.with_no_client_auth()
        };
        let (own, key) = &PARTIES.server;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
        let config = builder.with_single_cert(vec![certificate(own)], key).expect("a configuration");
        let (config, answer) = (Arc::new(config), Arc::new(answer));
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let port = listener.local_addr().expect("an address").port();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (config, answer) = (Arc::clone(&config), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream, config, &*answer));
            }
        });
        Self { port }
    }
}

fn serve(stream: TcpStream, config: Arc<ServerConfig>, answer: &dyn Fn(&str, &str) -> Answer) {
    let mut tls = StreamOwned::new(ServerConnection::new(config).expect("a connection"), stream);
    let mut head = Vec::new();
    // Whoever has heard enough hangs up: that ends each of these.
    while let Ok(got @ 1..) = {
        let mut piece = [0; 4096];
        let got = tls.read(&mut piece);
        head.extend_from_slice(&piece[..*got.as_ref().unwrap_or(&0)]);
        got
    } {
        let _ = got;
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        let text = String::from_utf8_lossy(&head).into_owned();
        head.clear();
        match answer(&text, text.split(' ').nth(1).unwrap_or_default()) {
            Answer::Whole(text) => {
                let _ = tls.write_all(text.as_bytes());
                let _ = tls.flush();
            }
            Answer::Ends(text) => {
                let _ = tls.write_all(text.as_bytes());
                tls.conn.send_close_notify();
                let _ = tls.flush();
                return;
            }
            Answer::Endless => {
                let _ = tls.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
                while tls.write_all(&[b' '; 1 << 14]).is_ok() {}
                return;
            }
            Answer::Silence => {}
        }
    }
}

/// A folder with a kubeconfig, `config`, for a server at this port whose certificate is for `name`.
pub(super) fn kubeconfig(port: u16, ca: &str, name: &str, user: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("ca.pem"), ca).expect("written");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: t\nclusters:\n- name: t\n  cluster:\n    \
         server: https://127.0.0.1:{port}\n    certificate-authority: ca.pem\n    tls-server-name: {name}\n\
         contexts:\n- name: t\n  context: {{cluster: t, user: t}}\nusers:\n- name: t\n  user: {{{user}}}\n"
    );
    std::fs::write(folder.path().join("config"), text).expect("written");
    folder
}
