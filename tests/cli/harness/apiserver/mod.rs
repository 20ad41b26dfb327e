//! A fake kube-apiserver with one Pod, over real TLS, on a port of its own.
//!
//! It answers get, list and watch of that Pod as the real one does, checks
//! the bearer token, writes down who asked for what, and can be broken in
//! every way of [`Fault`] at any time. Plain threads and hand-written HTTP:
//! so each byte that a broken server might send can be sent.

mod answers;
mod serve;
mod tls;
mod watch;
mod world;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

pub use serve::reset;
pub use world::{Fault, Request, Verb};
use world::{Shared, World};

use super::pods::Pod;
use super::{DEADLINE, TempDir};

/// A running API server; it ends with its owner.
#[derive(Debug)]
pub struct Api {
    shared: Arc<Shared>,
    address: SocketAddr,
    ask: bool,
    account: TempDir,
    tokens: std::sync::atomic::AtomicU32,
}

impl Api {
    /// Serves this Pod, and asks nothing of a client but its token.
    pub fn serving(pod: Pod) -> Self {
        Self::start(pod, false, "127.0.0.1:0").unwrap()
    }

    /// The same on `[::1]`; None where there is no IPv6.
    pub fn serving_on_ipv6(pod: Pod) -> Option<Self> {
        Self::start(pod, false, "[::1]:0").ok()
    }

    /// The same, but asks for a client certificate, as the real one does; a
    /// client may have none.
    pub fn asking_for_certificates(pod: Pod) -> Self {
        Self::start(pod, true, "127.0.0.1:0").unwrap()
    }

    fn start(pod: Pod, ask: bool, place: &str) -> io::Result<Self> {
        let pod = pod.document();
        let text = |field: &str| pod["metadata"][field].as_str().unwrap().to_owned();
        let mut world =
            World { namespace: text("namespace"), name: text("name"), revision: 1000, ..World::default() };
        world.record("ADDED", pod);
        let listener = TcpListener::bind(place)?;
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { world: world.into(), ..Shared::default() });
        let account = TempDir::new();
        let api = Self { shared, address, ask, account, tokens: 0.into() };
        api.listen(listener);
        api.new_token();
        api.publish_token();
        api.account.write("ca.crt", &tls::pki().ca);
        api.account.write("namespace", &api.shared.world.lock().unwrap().namespace);
        Ok(api)
    }

    fn listen(&self, listener: TcpListener) {
        let (shared, ask) = (Arc::clone(&self.shared), self.ask);
        self.shared.change(|world| world.listening = true);
        std::thread::spawn(move || {
            serve::accept(&shared, &listener, ask);
            drop(listener);
            shared.change(|world| world.listening = false);
        });
    }

    /// What a container of the Pod finds in its environment, and where the
    /// wrapper finds the service account.
    pub fn environment(&self) -> [(&'static str, String); 3] {
        [
            ("KUBERNETES_SERVICE_HOST", self.address.ip().to_string()),
            ("KUBERNETES_SERVICE_PORT", self.address.port().to_string()),
            ("PROA_SERVICE_ACCOUNT_DIR", self.account.path().display().to_string()),
        ]
    }

    /// The service account's directory.
    pub fn account(&self) -> &Path {
        self.account.path()
    }

    /// Another authority's certificate, which `ca.crt` may hold as well.
    pub fn other_authority() -> &'static str {
        &tls::pki().other_authority
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the Pod; every watch hears of it.
    pub fn update(&self, change: impl FnOnce(&mut Value)) {
        self.shared.change(|world| {
            let mut pod = world.pod.clone().expect("the Pod is gone");
            change(&mut pod);
            world.record("MODIFIED", pod);
        });
    }

    /// Takes the Pod away.
    pub fn delete(&self) {
        self.shared.change(|world| {
            let pod = world.pod.take().expect("the Pod is gone already");
            world.record("DELETED", pod);
        });
    }

    /// Tells every watch where it is, and nothing else.
    pub fn bookmark(&self) {
        self.shared.change(|world| world.record("BOOKMARK", answers::bookmark()));
    }

    /// Forgets the history: a watch from before now is told that it is gone.
    pub fn compact(&self) {
        self.shared.change(|world| {
            world.revision += 10;
            world.compacted = world.revision;
        });
    }

    /// Breaks these kinds of requests until [`Self::heal`].
    pub fn fault(&self, verbs: &[Verb], fault: &Fault) {
        self.shared.change(|world| {
            world.faults.retain(|(verb, _)| !verbs.contains(verb));
            world.faults.extend(verbs.iter().map(|verb| (*verb, fault.clone())));
        });
        if *fault == Fault::Refuse {
            assert!(self.shared.wait(DEADLINE, |world| !world.listening));
        }
    }

    /// Breaks every request, and cuts what is open.
    pub fn fail(&self, fault: &Fault) {
        let connecting =
            matches!(fault, Fault::Deaf | Fault::Refuse | Fault::OtherCa | Fault::WrongName | Fault::Expired);
        self.fault(if connecting { &[Verb::Connect] } else { &Verb::REQUESTS }, fault);
        self.cut_watches();
    }

    /// Mends everything.
    pub fn heal(&self) {
        self.shared.change(|world| world.faults.clear());
        if !self.shared.world.lock().unwrap().listening {
            self.listen(TcpListener::bind(self.address).unwrap());
        }
    }

    /// Ends every open watch without a word, as a dying server does.
    pub fn cut_watches(&self) {
        self.shared.change(|world| world.cut = Some(Instant::now()));
    }

    /// From now on only a token that nobody knows yet is accepted.
    pub fn new_token(&self) {
        let number = self.tokens.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.shared.change(|world| {
            let claims = json!({
                "aud": ["https://kubernetes.default.svc"], "exp": 4_102_444_800_u64, "jti": number,
                "kubernetes.io": {
                    "namespace": world.namespace,
                    "pod": {"name": world.name, "uid": "8c1bd0a4-3d8e-4c7e-9a51-0f2f3f3f7d11"},
                    "serviceaccount": {"name": "default", "uid": "58a1b9f3-6a52-4b4e-8f0c-5b0a3c1d9e77"},
                },
                "sub": format!("system:serviceaccount:{}:default", world.namespace),
            });
            let payload = URL_SAFE_NO_PAD.encode(claims.to_string());
            let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","kid":"k"}"#);
            world.token = format!("{header}.{payload}.c2VjcmV0LXNpZ25hdHVyZQ");
        });
    }

    /// From now on only this token is accepted.
    pub fn accept(&self, token: &str) {
        self.shared.change(|world| token.clone_into(&mut world.token));
    }

    /// Writes the token that is accepted to where the client reads it.
    pub fn publish_token(&self) {
        let token = self.token();
        // As the kubelet does it: never half a token.
        let new = self.account.write("..token", token);
        std::fs::rename(new, self.account.join("token")).unwrap();
    }

    /// The token that is accepted.
    pub fn token(&self) -> String {
        self.shared.world.lock().unwrap().token.clone()
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.world.lock().unwrap().requests.clone()
    }

    /// How many requests of this kind came so far.
    pub fn count(&self, verb: Verb) -> usize {
        self.requests().iter().filter(|request| request.verb == verb).count()
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.world.lock().unwrap().accepted
    }

    /// Waits until so many requests of this kind have come.
    pub fn wait_for(&self, verb: Verb, count: usize) {
        let came =
            |world: &World| world.requests.iter().filter(|request| request.verb == verb).count() >= count;
        assert!(self.shared.wait(DEADLINE, came), "no {count} x {verb:?} in {:#?}", self.requests());
    }

    /// Waits until so many requests of any kind have come.
    pub fn wait_for_requests(&self, count: usize) {
        let came = |world: &World| world.requests.len() >= count;
        assert!(self.shared.wait(DEADLINE, came), "no {count} requests in {:#?}", self.requests());
    }

    /// Waits until so many connections have been accepted.
    pub fn wait_for_connections(&self, count: usize) {
        assert!(self.shared.wait(DEADLINE, |world| world.accepted >= count), "no {count} connections");
    }

    /// Waits until nobody is connected.
    pub fn wait_until_left_alone(&self) {
        assert!(self.shared.wait(DEADLINE, |world| world.open == 0), "somebody is still connected");
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.shared.change(|world| world.stopped = true);
    }
}
