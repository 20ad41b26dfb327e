//! The fakes do what they promise: tests of the tests, with a client of their
//! own.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};

use crate::harness::{Answer, Api, Container, Fault, Pod, Proa, Sidecar, Verb, binaries, pods};

type Client = BufReader<StreamOwned<ClientConnection, TcpStream>>;

fn connect(api: &Api) -> Client {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(api.account().join("ca.crt")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from(api.address().ip().to_string()).unwrap();
    let tls = ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = TcpStream::connect(api.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    BufReader::new(StreamOwned::new(tls, stream))
}

fn ask(client: &mut Client, target: &str, token: &str) -> std::io::Result<()> {
    let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
    client.get_mut().write_all(request.as_bytes())?;
    client.get_mut().flush()
}

/// Reads until `end` has come.
fn read_until(client: &mut Client, end: &str) -> String {
    let mut text = String::new();
    let mut byte = [0];
    while !text.ends_with(end) {
        assert_eq!(client.read(&mut byte).unwrap(), 1, "ended after {text}");
        text.push(char::from(byte[0]));
    }
    text
}

const POD: &str = "/api/v1/namespaces/work/pods/job-7x2kq";
const WATCH: &str = "/api/v1/namespaces/work/pods?watch=true&fieldSelector=metadata.name%3Djob-7x2kq";

#[test]
fn the_api_server_serves_its_pod() {
    for api in
        [Api::serving(Pod::of([Container::not_ready("proxy")])), Api::asking_for_certificates(Pod::new())]
    {
        let mut client = connect(&api);
        ask(&mut client, POD, "wrong").unwrap();
        assert!(read_until(&mut client, "}").contains("401 Unauthorized"));
        drop(client);
        let mut client = connect(&api);
        ask(&mut client, POD, &api.token()).unwrap();
        assert!(read_until(&mut client, "\"metadata\":{").contains("200 OK"));
        let seen: Vec<bool> = api.requests().iter().map(|request| request.authorized).collect();
        assert_eq!((seen, api.connections()), (vec![false, true], 2));
        drop(client);
        api.wait_until_left_alone();
    }
}

#[test]
fn the_api_server_streams_changes() {
    let api = Api::serving(Pod::of([Container::not_ready("proxy")]));
    let mut client = connect(&api);
    ask(&mut client, WATCH, &api.token()).unwrap();
    read_until(&mut client, "ADDED");
    api.update(|pod| pods::ready(pod, "proxy"));
    assert!(read_until(&mut client, "MODIFIED").ends_with("MODIFIED"));
    api.bookmark();
    read_until(&mut client, "BOOKMARK");
    api.delete();
    read_until(&mut client, "DELETED");
    assert_eq!(api.count(Verb::Watch), 1);
    drop(client);
    api.wait_until_left_alone();
}

#[test]
fn the_api_server_breaks_and_heals() {
    let api = Api::serving(Pod::new());
    for (fault, answer) in [
        (Fault::Status(403), "cannot get resource \"pods\""),
        (Fault::RetryAfter(429, "2"), "Retry-After: 2"),
        (Fault::Html(502), "<html>"),
        (Fault::Garbage, "}{"),
    ] {
        api.fail(&fault);
        let mut client = connect(&api);
        ask(&mut client, POD, &api.token()).unwrap();
        // The message is JSON within JSON.
        read_until(&mut client, &answer.replace('"', "\\\""));
    }
    api.fail(&Fault::Refuse);
    assert!(TcpStream::connect(api.address()).is_err());
    api.heal();
    api.fault(&[Verb::Connect], &Fault::OtherCa);
    assert!(ask(&mut connect(&api), POD, &api.token()).is_err());
    api.heal();
    api.compact();
    let mut client = connect(&api);
    ask(&mut client, &format!("{WATCH}&resourceVersion=1001"), &api.token()).unwrap();
    read_until(&mut client, "\"code\":410");
}

#[test]
fn a_sidecar_answers_as_it_is_told() {
    let sidecar = Sidecar::answering([Answer::Status(500), Answer::Status(200)]);
    let ask = |sidecar: &Sidecar| {
        let mut stream = TcpStream::connect(sidecar.address()).unwrap();
        stream.write_all(b"POST /quit?a=%20 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi").unwrap();
        let mut text = [0; 12];
        stream.read_exact(&mut text).map(|()| String::from_utf8_lossy(&text).into_owned())
    };
    assert_eq!(ask(&sidecar).unwrap(), "HTTP/1.1 500");
    assert_eq!(ask(&sidecar).unwrap(), "HTTP/1.1 200");
    assert_eq!(ask(&sidecar).unwrap(), "HTTP/1.1 200");
    assert_eq!(sidecar.asked_lines(), ["POST /quit?a=%20"; 3]);
    assert_eq!(sidecar.asked()[0].body, b"hi");
    assert!(ask(&Sidecar::answering([Answer::Reset])).is_err());
    let closed = Sidecar::closed(|_| Answer::Status(200));
    assert!(TcpStream::connect(closed.address()).is_err());
    closed.open();
    assert_eq!(ask(&closed).unwrap(), "HTTP/1.1 200");
}

#[test]
fn the_child_says_what_it_was_started_with() {
    let describe = || Proa::new().binary(binaries::child()).args(["describe"]);
    let read = |run: Proa| -> Value { serde_json::from_str(&run.run().assert_code(0).stdout).unwrap() };
    let plain = read(describe());
    assert_eq!(plain["blocked"], json!([]));
    let odd = read(describe().after_launch("--ignore 17 --ignore 34 --close 0 --block --open /dev/null"));
    // The C library's posix_spawn, which std uses, adds 32 and 33.
    let ignored = odd["ignored"].as_array().unwrap();
    assert!(ignored.contains(&json!(17)) && ignored.contains(&json!(34)), "{ignored:?}");
    assert_eq!(odd["blocked"].as_array().unwrap().len(), 62);
    // Whoever started the tests may have left descriptors open in everybody.
    let (plain, odd) = (&plain["descriptors"], odd["descriptors"].as_array().unwrap());
    assert_eq!(odd.len(), plain.as_array().unwrap().len());
    assert!(!odd.contains(&json!(0)) && odd.contains(&json!(1)), "{odd:?}");
}
