//! Who takes part: a certificate authority, a server and a client that it vouches for, and a stranger. Made anew for
//! each run: no key lies in the repository.

use std::sync::LazyLock;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

/// Certificates, and keys, as PEM.
pub(in super::super) struct Parties {
    /// The authority's certificate.
    pub(in super::super) ca: String,
    /// That of another one, which vouches for nobody here.
    pub(super) other: String,
    pub(super) server: (String, String),
    pub(super) client: (String, String),
}

pub(in super::super) static PARTIES: LazyLock<Parties> = LazyLock::new(|| {
    let (issuer, ca) = authority();
    let names = ["127.0.0.1".to_owned(), super::NAME.to_owned()];
    Parties {
        ca,
        other: authority().1,
        server: vouched(&issuer, &names, ExtendedKeyUsagePurpose::ServerAuth),
        client: vouched(&issuer, &[], ExtendedKeyUsagePurpose::ClientAuth),
    }
});

fn authority() -> (Issuer<'static, KeyPair>, String) {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate").pem();
    (Issuer::new(params, key), certificate)
}

fn vouched(
    issuer: &Issuer<'static, KeyPair>,
    names: &[String],
    purpose: ExtendedKeyUsagePurpose,
) -> (String, String) {
    let mut params = CertificateParams::new(names).expect("names");
    params.extended_key_usages.push(purpose);
    let key = KeyPair::generate().expect("a key");
    (params.signed_by(&key, issuer).expect("a certificate").pem(), key.serialize_pem())
}
