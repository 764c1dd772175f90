//! As whom the API server is asked, where it is, and who vouches for it: a kubeconfig, or the account of the pod that
//! the daemon runs in.

use std::fs::OpenOptions;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::{HeaderValue, Uri};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::super::Fault;
use super::IN_CLUSTER;
use super::config::{self, base64};

/// Where a pod finds its account (kubernetes.io/docs/tasks/run-application/access-api-from-pod).
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Bytes of a kubeconfig, a token, a certificate.
const MAX_FILE: u64 = 1 << 20;

/// An account.
pub(super) struct Account {
    /// Name or address to connect to.
    pub(super) host: String,
    pub(super) port: u16,
    /// Both, as a request has them.
    pub(super) authority: String,
    /// What every path begins with; mostly nothing.
    pub(super) base: String,
    /// Whose certificate is expected.
    pub(super) server: ServerName<'static>,
    pub(super) tls: Arc<ClientConfig>,
    token: Token,
}

enum Token {
    None,
    Text(String),
    File(PathBuf),
}

impl Account {
    /// Reads the account of `in-cluster`, or of a kubeconfig.
    ///
    /// # Errors
    /// What is wrong with it, without any secret of it.
    pub(super) fn open(path: &Path) -> Result<Self, Fault> {
        let account = if path == Path::new(IN_CLUSTER) { in_cluster() } else { kubeconfig(path) };
        account.map_err(|why| Fault::Account(format!("{}: {why}", path.display())))
    }

    /// What a request proves itself with. Tokens in files are read anew each time: they are replaced within the hour.
    pub(super) fn authorization(&self) -> Result<Option<HeaderValue>, Fault> {
        let text = match &self.token {
            Token::None => return Ok(None),
            Token::Text(text) => text.clone(),
            Token::File(path) => {
                let bytes = read(path).map_err(Fault::Account)?;
                String::from_utf8(bytes).map_err(|_| Fault::Account("the token is no text".to_owned()))?
            }
        };
        let mut value = HeaderValue::from_str(&format!("Bearer {}", text.trim()))
            .map_err(|_| Fault::Account("the token is no token".to_owned()))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

fn in_cluster() -> Result<Account, String> {
    let variable = |name: &str| {
        let value = std::env::var(name).ok().filter(|value| !value.is_empty());
        value.ok_or_else(|| format!("{name} is not set: this is no pod"))
    };
    let (host, port) = (variable("KUBERNETES_SERVICE_HOST")?, variable("KUBERNETES_SERVICE_PORT")?);
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let folder = Path::new(SERVICE_ACCOUNT);
    let tls = tls(&read(&folder.join("ca.crt"))?, None)?;
    account(&format!("https://{host}:{port}"), None, tls, Token::File(folder.join("token")))
}

fn kubeconfig(path: &Path) -> Result<Account, String> {
    let text = String::from_utf8(read(path)?).map_err(|_| "it is no text".to_owned())?;
    let config::Context { cluster, user } = config::read(&text)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let pem = |data: Option<String>, file: Option<String>, what: &str| match (data, file) {
        (Some(data), _) if !data.is_empty() => {
            base64(&data).map(Some).ok_or_else(|| format!("its {what} is no base64"))
        }
        (_, Some(file)) if !file.is_empty() => read(&folder.join(file)).map(Some),
        _ => Ok(None),
    };
    let ca = pem(cluster.certificate_authority_data, cluster.certificate_authority, "certificate authority")?
        .ok_or("it names no certificate authority")?;
    let certificate = pem(user.client_certificate_data, user.client_certificate, "client certificate")?;
    let key = pem(user.client_key_data, user.client_key, "client key")?;
    let own = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => return Err("it has a client certificate or its key, and not both".to_owned()),
    };
    let token = match (user.token_file, user.token) {
        (Some(file), _) if !file.is_empty() => Token::File(folder.join(file)),
        (_, Some(text)) if !text.is_empty() => Token::Text(text),
        _ => Token::None,
    };
    if own.is_none() && matches!(token, Token::None) {
        return Err("its user has neither a token nor a client certificate".to_owned());
    }
    account(&cluster.server, cluster.tls_server_name.as_deref(), tls(&ca, own)?, token)
}

fn account(url: &str, name: Option<&str>, tls: ClientConfig, token: Token) -> Result<Account, String> {
    let uri: Uri = url.parse().map_err(|_| format!("`{url}` is no address"))?;
    let (Some("https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(format!("`{url}` does not begin with https://"));
    };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = name.filter(|name| !name.is_empty()).unwrap_or(&host).to_owned();
    let server =
        ServerName::try_from(name).map_err(|_| "what its certificate is for is no name".to_owned())?;
    Ok(Account {
        port: authority.port_u16().unwrap_or(443),
        authority: authority.as_str().rsplit('@').next().unwrap_or_default().to_owned(),
        base: uri.path().trim_end_matches('/').to_owned(),
        host,
        server,
        tls: Arc::new(tls),
        token,
    })
}

/// TLS that believes `ca` and nobody else, and shows a certificate if there is one.
fn tls(ca: &[u8], own: Option<(Vec<u8>, Vec<u8>)>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    let (added, _) =
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(ca).filter_map(Result::ok));
    if added == 0 {
        return Err("its certificate authority is no certificate".to_owned());
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    let Some((chain, key)) = own else { return Ok(builder.with_no_client_auth()) };
    let chain = CertificateDer::pem_slice_iter(&chain).collect::<Result<Vec<_>, _>>();
    let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or("its client certificate is none")?;
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|_| "its client key is none".to_owned())?;
    builder
        .with_client_auth_cert(chain, key)
        .map_err(|_| "its client key is not the certificate's".to_owned())
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    // Whatever it is, nothing waits for it.
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .and_then(|file| file.take(MAX_FILE).read_to_end(&mut out))
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says where the request goes: host, port, authority, base.
    #[track_caller]
    fn check(url: &str, want: Option<(&str, u16, &str, &str)>) {
        let tls = tls(super::super::tests::PARTIES.ca.as_bytes(), None).expect("a certificate");
        let account = account(url, None, tls, Token::None).ok();
        let got = account.as_ref().map(|a| (a.host.as_str(), a.port, a.authority.as_str(), a.base.as_str()));
        assert_eq!(got, want, "{url}");
    }

    #[test]
    fn addresses_of_servers() {
        let https = |rest: &str| format!("https://{rest}");
        check(&https("10.0.0.1:6443"), Some(("10.0.0.1", 6443, "10.0.0.1:6443", "")));
        check(&https("[::1]:6443/"), Some(("::1", 6443, "[::1]:6443", "")));
        check(&https("r.example/k8s/clusters/c/"), Some(("r.example", 443, "r.example", "/k8s/clusters/c")));
        for wrong in ["", "10.0.0.1:6443", "http://127.0.0.1", "https://", "file:///x", &https("a b")] {
            check(wrong, None);
        }
    }

    #[test]
    fn tokens_are_read_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("token");
        let tls = tls(super::super::tests::PARTIES.ca.as_bytes(), None).expect("a certificate");
        let account = account("https://localhost", None, tls, Token::File(file.clone())).expect("an account");
        assert!(matches!(account.authorization(), Err(Fault::Account(_))));
        for token in ["one", "two\n"] {
            std::fs::write(&file, token).expect("written");
            let value = account.authorization().expect("read").expect("a token");
            assert_eq!(value.to_str().ok(), Some(format!("Bearer {}", token.trim()).as_str()));
            assert!(value.is_sensitive());
        }
        std::fs::write(&file, "a\nb").expect("written");
        assert!(matches!(account.authorization(), Err(Fault::Account(_))));
    }

    #[test]
    fn what_vouches_for_nobody_is_refused() {
        assert!(tls(b"", None).is_err());
        assert!(tls(b"-----BEGIN CERTIFICATE-----\nZm9v\n-----END CERTIFICATE-----\n", None).is_err());
        let ca = super::super::tests::PARTIES.ca.as_bytes();
        assert!(tls(ca, Some((Vec::new(), Vec::new()))).is_err());
        assert!(tls(ca, Some((ca.to_vec(), b"x".to_vec()))).is_err());
    }
}
