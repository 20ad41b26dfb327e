//! A server that answers anything, in any pieces.

use std::time::Duration;

use proa::internals::{Address, Ask, HttpError, HttpUrl, Sender};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Longer than any answer takes that does not hang.
const LIMIT: Duration = Duration::from_secs(5);

/// What a probe makes of `answer`, and what it asked.
pub(crate) fn probe(
    target: &str,
    headers: &[(String, String)],
    answer: &[u8],
    piece: usize,
) -> (Result<u16, HttpError>, Vec<u8>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = Address { host: "127.0.0.1".to_owned(), port: listener.local_addr().unwrap().port() };
        let url = HttpUrl { https: false, address, target: target.to_owned(), credentials: None };
        let ask = Ask { method: "GET".parse().unwrap(), url: &url, headers };
        let mut sender = Sender::of_probe(true);
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") && stream.read_buf(&mut asked).await.unwrap_or(0) > 0 {}
            for part in answer.chunks(piece) {
                // A client that has heard enough is gone.
                if stream.write_all(part).await.is_err() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            drop(stream.shutdown().await);
            asked
        };
        let (answered, asked) = tokio::join!(sender.send(&ask, LIMIT), server);
        (answered, asked)
    })
}

pub(super) fn answers(data: &[u8]) {
    let Some((piece, answer)) = data.split_first() else { return };
    let (whole, asked) = probe("/ready", &[], answer, answer.len().max(1));
    assert!(asked.starts_with(b"GET /ready HTTP/1.1\r\n"));
    assert_ne!(whole, Err(HttpError::TimedOut(LIMIT)), "an answer that ends leaves nobody waiting");
    match &whole {
        Ok(status) => {
            // The digits are there, behind the name of the protocol.
            let digits = status.to_string();
            let said =
                |line: &[u8]| line.starts_with(b"HTTP/1.") && line.get(9..12) == Some(digits.as_bytes());
            let said = answer.windows(12).any(said);
            assert!(said && (100..1000).contains(status), "{status} was not said");
        }
        Err(error) => assert!(error.to_string().len() < 1024, "{error}"),
    }
    let (pieces, _) = probe("/ready", &[], answer, usize::from(*piece) % 16 + 1);
    assert_eq!(pieces.as_ref().ok(), whole.as_ref().ok(), "in pieces it is another answer");
}
