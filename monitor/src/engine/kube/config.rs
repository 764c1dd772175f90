//! A kubeconfig (kubernetes.io/docs/reference/config-api/kubeconfig.v1), as far as one context of it is used.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::yaml;

/// The cluster and the user of the current context.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) cluster: Cluster,
    pub(super) user: User,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Config {
    current_context: Option<String>,
    clusters: Option<Vec<NamedCluster>>,
    contexts: Option<Vec<NamedContext>>,
    users: Option<Vec<NamedUser>>,
}

#[derive(Deserialize)]
struct NamedCluster {
    name: String,
    cluster: Cluster,
}

#[derive(Deserialize)]
struct NamedContext {
    name: String,
    context: ContextNames,
}

#[derive(Deserialize)]
struct NamedUser {
    name: String,
    user: Option<User>,
}

#[derive(Deserialize)]
struct ContextNames {
    cluster: String,
    user: String,
}

/// Where the API server is, and who vouches for it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct Cluster {
    pub(super) server: String,
    pub(super) certificate_authority: Option<String>,
    pub(super) certificate_authority_data: Option<String>,
    pub(super) tls_server_name: Option<String>,
    insecure_skip_tls_verify: Option<bool>,
    proxy_url: Option<String>,
}

/// Who asks.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct User {
    pub(super) token: Option<String>,
    #[serde(rename = "tokenFile")]
    pub(super) token_file: Option<String>,
    pub(super) client_certificate: Option<String>,
    pub(super) client_certificate_data: Option<String>,
    pub(super) client_key: Option<String>,
    pub(super) client_key_data: Option<String>,
    exec: Option<IgnoredAny>,
    auth_provider: Option<IgnoredAny>,
    username: Option<IgnoredAny>,
    #[serde(rename = "as")]
    impersonated: Option<IgnoredAny>,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // There are secrets in it.
        f.write_str("User")
    }
}

/// Reads the current context.
///
/// # Errors
/// What is wrong with it or not supported, for a person, without any secret of it.
pub(super) fn read(text: &str) -> Result<Context, String> {
    let value = yaml::load(text)?;
    // What serde says may cite the value.
    let config: Config = serde_json::from_value(value).map_err(|_| "it is no kubeconfig".to_owned())?;
    let current =
        config.current_context.filter(|name| !name.is_empty()).ok_or("it has no current-context")?;
    let mut contexts = config.contexts.into_iter().flatten();
    let context = contexts.find(|c| c.name == current).ok_or("its current-context is not in it")?.context;
    let mut clusters = config.clusters.into_iter().flatten();
    let cluster = clusters.find(|c| c.name == context.cluster).ok_or("the context's cluster is not in it")?;
    let mut users = config.users.into_iter().flatten();
    let user = users.find(|u| u.name == context.user).ok_or("the context's user is not in it")?;
    let (cluster, user) = (cluster.cluster, user.user.unwrap_or_default());
    for (is_there, what) in [
        (user.exec.is_some(), "`exec`: programs are not run for a token; give a token or a certificate"),
        (user.auth_provider.is_some(), "`auth-provider`"),
        (user.username.is_some(), "`username`"),
        (user.impersonated.is_some(), "`as`"),
        (cluster.insecure_skip_tls_verify == Some(true), "`insecure-skip-tls-verify`: anybody might answer"),
        (cluster.proxy_url.as_ref().is_some_and(|url| !url.is_empty()), "`proxy-url`"),
    ] {
        if is_there {
            return Err(format!("not supported: {what}"));
        }
    }
    Ok(Context { cluster, user })
}

/// Bytes out of base64 (RFC 4648, 4), with line breaks in it if need be.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0_u32, 0);
    let digits = text.trim_end().trim_end_matches('=').bytes().filter(|byte| !byte.is_ascii_whitespace());
    for digit in digits {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held & 0xff) as u8);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "apiVersion: v1\nkind: Config\ncurrent-context: b@two\nclusters:\n\
        - name: one\n  cluster: {server: https://localhost/one}\n\
        - name: two\n  cluster:\n    server: https://localhost:6443\n    certificate-authority-data: Zm9v\n\
        contexts:\n- name: a@one\n  context: {cluster: one, user: a}\n\
        - name: b@two\n  context: {cluster: two, user: b, namespace: x}\n\
        users:\n- name: a\n  user: {token: t1}\n- name: b\n  user:\n    tokenFile: /t2\n";

    #[test]
    fn the_current_context_is_used() {
        let Context { cluster, user } = read(WHOLE).expect("read");
        assert_eq!(cluster.server, "https://localhost:6443");
        assert_eq!(cluster.certificate_authority_data.as_deref(), Some("Zm9v"));
        assert_eq!((user.token, user.token_file.as_deref()), (None, Some("/t2")));
    }

    #[test]
    fn what_is_refused_says_why_and_no_secret() {
        for (from, to, want) in [
            ("    tokenFile: /t2\n", "    exec: {command: s3cret}\n", "`exec`"),
            ("    tokenFile: /t2\n", "    auth-provider: {name: s3cret}\n", "`auth-provider`"),
            ("    tokenFile: /t2\n", "    username: s3cret\n", "`username`"),
            ("    tokenFile: /t2\n", "    token: s3cret\n    as: x\n", "`as`"),
            ("    tokenFile: /t2\n", "    token: [s3cret]\n", "no kubeconfig"),
            ("    cert", "    insecure-skip-tls-verify: true\n    cert", "anybody"),
            ("    cert", "    proxy-url: http://localhost\n    cert", "`proxy-url`"),
            ("current-context: b@two", "current-context: ''", "no current-context"),
            ("current-context: b@two", "current-context: c", "not in it"),
            ("user: b,", "user: c,", "user is not in it"),
            ("cluster: two,", "cluster: c,", "cluster is not in it"),
            ("users:", "users: [", "no YAML in line"),
        ] {
            let text = WHOLE.replace(from, to);
            assert_ne!(text, WHOLE, "{from}");
            let error = read(&text).map(|_| ()).expect_err(to);
            assert!(error.contains(want) && !error.contains("s3cret"), "{to}: {error}");
        }
        assert!(read("[]").is_err() && read("").is_err());
    }

    #[test]
    fn base64_of_every_length() {
        for (text, want) in
            [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v\n", "foo"), ("Zm9v\nYmE=", "fooba")]
        {
            assert_eq!(base64(text).as_deref(), Some(want.as_bytes()), "{text}");
        }
        assert_eq!(base64("Zm9_"), None);
        assert_eq!(base64("Zg==Zg=="), None);
    }
}
