//! HTTPS, by reqwest.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use hyper::Method;
use hyper::header::CONTENT_LENGTH;

use super::{Ask, HttpError, read_io};

/// A client that keeps no connection, and believes nobody without a
/// certificate of the system's roots if it is to verify.
///
/// # Errors
/// [`HttpError::Other`] where TLS cannot be set up.
pub fn client(verify: bool) -> Result<reqwest::Client, HttpError> {
    // reqwest takes the process's provider; a second call changes nothing.
    drop(rustls::crypto::ring::default_provider().install_default());
    // Port 0 stands for the URL's.
    let loopback = [(Ipv4Addr::LOCALHOST, 0).into(), (Ipv6Addr::LOCALHOST, 0).into()];
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .user_agent(crate::USER_AGENT)
        .tls_danger_accept_invalid_certs(!verify)
        .resolve_to_addrs("localhost", &loopback)
        .build();
    client.map_err(read)
}

/// Sends the request; the answer's status.
///
/// # Errors
/// [`HttpError`]
pub async fn exchange(client: &reqwest::Client, ask: &Ask<'_>) -> Result<u16, HttpError> {
    let address = &ask.url.address;
    let credentials = ask.url.credentials.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
    let url = format!("https://{credentials}{address}{}", ask.url.target);
    let mut request = client.request(ask.method.clone(), url);
    if ask.method == Method::POST {
        request = request.header(CONTENT_LENGTH, 0);
    }
    for (name, value) in ask.headers {
        request = request.header(name, value);
    }
    Ok(request.send().await.map_err(read)?.status().as_u16())
}

/// The system's error, if there is one in the chain, says most.
fn read(error: reqwest::Error) -> HttpError {
    let error = anyhow::Error::new(error.without_url());
    match error.chain().find_map(|cause| cause.downcast_ref::<io::Error>()) {
        Some(io) if io.raw_os_error().is_some() => read_io(io),
        _ => HttpError::Other(format!("{error:#}")),
    }
}
