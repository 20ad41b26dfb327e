//! A counting front: forwards TCP to the API server and counts what passes.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Connections, bytes to the server and bytes from it.
#[derive(Debug, Default)]
pub struct Counts {
    pub connections: AtomicU64,
    pub up: AtomicU64,
    pub down: AtomicU64,
}

/// Starts a front before `server`; returns its port.
pub fn before(server: SocketAddr) -> (u16, Arc<Counts>) {
    between(Ipv4Addr::LOCALHOST.into(), server)
}

/// Starts a front at an address.
pub fn between(address: IpAddr, server: SocketAddr) -> (u16, Arc<Counts>) {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let counts = Arc::new(Counts::default());
    let shared = Arc::clone(&counts);
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(upstream) = TcpStream::connect(server) else { continue };
            shared.connections.fetch_add(1, Ordering::Relaxed);
            let (up, down) = (Arc::clone(&shared), Arc::clone(&shared));
            let (from, to) = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
            std::thread::spawn(move || pass(from, to, &up.up));
            std::thread::spawn(move || pass(upstream, client, &down.down));
        }
    });
    (port, counts)
}

fn pass(mut from: TcpStream, mut to: TcpStream, count: &AtomicU64) {
    drop((from.set_nodelay(true), to.set_nodelay(true)));
    let mut buffer = [0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        count.fetch_add(length as u64, Ordering::Relaxed);
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    drop(to.shutdown(Shutdown::Write));
}
