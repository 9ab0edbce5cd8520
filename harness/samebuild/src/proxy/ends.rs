//! Where a proxy listens, and whom it leads to: the socket of an engine, or a port of a registry on this machine.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// One end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    Socket(PathBuf),
    /// On loopback; as `listen`, port 0 is any that is free.
    Port(SocketAddr),
}

pub(super) type Reader = Box<dyn AsyncRead + Send + Unpin>;
pub(super) type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// `tcp://127.0.0.1:5000`, or the path of a socket.
impl FromStr for End {
    type Err = String;

    fn from_str(text: &str) -> Result<End, String> {
        let Some(address) = text.strip_prefix("tcp://") else { return Ok(End::Socket(text.into())) };
        match address.parse::<SocketAddr>() {
            Ok(address) if address.ip().is_loopback() => Ok(End::Port(address)),
            _ => Err(format!(
                "`{text}` is no port of this machine; accepted: tcp://127.0.0.1:PORT, or the path of a socket"
            )),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Socket(path) => write!(f, "unix://{}", path.display()),
            End::Port(address) => write!(f, "tcp://{address}"),
        }
    }
}

impl End {
    /// Whether somebody answers there.
    pub(super) fn answers(&self) -> std::io::Result<()> {
        match self {
            End::Socket(path) => std::os::unix::net::UnixStream::connect(path).map(drop),
            End::Port(address) => std::net::TcpStream::connect(address).map(drop),
        }
    }

    pub(super) async fn connect(&self) -> std::io::Result<(Reader, Writer)> {
        Ok(match self {
            End::Socket(path) => halves(UnixStream::connect(path).await?),
            End::Port(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                tcp_halves(stream)
            }
        })
    }
}

/// What listens.
pub(super) enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

impl Listener {
    pub(super) async fn accept(&self) -> std::io::Result<(Reader, Writer)> {
        Ok(match self {
            Listener::Unix(listener) => halves(listener.accept().await?.0),
            Listener::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                tcp_halves(stream)
            }
        })
    }
}

fn halves(stream: UnixStream) -> (Reader, Writer) {
    let (from, to) = stream.into_split();
    (Box::new(from), Box::new(to))
}

fn tcp_halves(stream: TcpStream) -> (Reader, Writer) {
    let (from, to) = stream.into_split();
    (Box::new(from), Box::new(to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_socket_or_a_port_of_this_machine() {
        for text in ["/run/docker.sock", "tcp://127.0.0.1:5000", "tcp://[::1]:1"] {
            let end: End = text.parse().unwrap();
            assert_eq!(end.to_string().trim_start_matches("unix://"), text);
        }
        for text in ["tcp://10.0.0.1:5000", "tcp://localhost", "tcp://"] {
            assert!(text.parse::<End>().unwrap_err().contains("accepted: tcp://127.0.0.1:PORT"), "{text}");
        }
    }
}
