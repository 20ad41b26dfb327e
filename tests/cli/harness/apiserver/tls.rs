//! The certificates of the fake API server: a good one, and one for each way
//! in which a client must refuse it.

use std::sync::{Arc, OnceLock};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoClientAuth, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};

/// What the clients trust, and what the server can show them. Made once.
#[derive(Debug)]
pub struct Pki {
    /// The authority's certificate, for `ca.crt`.
    pub ca: String,
    /// Another authority's, as there is one beside it while they change.
    pub other_authority: String,
    good: Identity,
    other_ca: Identity,
    wrong_name: Identity,
    expired: Identity,
    root: CertificateDer<'static>,
}

/// Which certificate the server shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The one that fits.
    Good,
    /// Signed by somebody unknown.
    OtherCa,
    /// For another host.
    WrongName,
    /// Out of date.
    Expired,
}

#[derive(Debug)]
struct Identity {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

/// The one set of certificates of this test run.
pub fn pki() -> &'static Pki {
    static PKI: OnceLock<Pki> = OnceLock::new();
    PKI.get_or_init(Pki::new)
}

const NAMES: [&str; 4] = ["127.0.0.1", "::1", "kubernetes.default.svc", "localhost"];

impl Pki {
    fn new() -> Self {
        let (root, issuer) = authority("kubernetes");
        let (other, stranger) = authority("somebody else");
        let named = |names: &[&str]| {
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap()
        };
        let mut old = named(&NAMES);
        old.not_before = date_time_ymd(2001, 1, 1);
        old.not_after = date_time_ymd(2002, 1, 1);
        Self {
            ca: root.pem(),
            other_authority: other.pem(),
            good: Identity::new(&named(&NAMES), &issuer),
            other_ca: Identity::new(&named(&NAMES), &stranger),
            wrong_name: Identity::new(&named(&["db.example.org"]), &issuer),
            expired: Identity::new(&old, &issuer),
            root: root.der().clone(),
        }
    }

    /// The server's side. The real API server asks each client for a
    /// certificate and takes none for an answer: `ask` does the same.
    pub fn server(&self, shown: Shown, ask: bool) -> Arc<ServerConfig> {
        let identity = match shown {
            Shown::Good => &self.good,
            Shown::OtherCa => &self.other_ca,
            Shown::WrongName => &self.wrong_name,
            Shown::Expired => &self.expired,
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = if ask {
            let mut roots = RootCertStore::empty();
            roots.add(self.root.clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.allow_unauthenticated().build().unwrap())
        } else {
            builder.with_client_cert_verifier(Arc::new(NoClientAuth))
        };
        let key = PrivateKeyDer::try_from(identity.key.clone()).unwrap();
        Arc::new(builder.with_single_cert(vec![identity.certificate.clone()], key).unwrap())
    }
}

impl Identity {
    fn new(params: &CertificateParams, issuer: &Issuer<'_, KeyPair>) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, issuer).unwrap();
        Self { certificate: certificate.der().clone(), key: key.serialize_der() }
    }
}

fn authority(name: &str) -> (rcgen::Certificate, Issuer<'static, KeyPair>) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (certificate, Issuer::new(params, key))
}
