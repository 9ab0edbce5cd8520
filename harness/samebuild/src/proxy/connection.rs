//! One client's connection: request after request, each on its way through the gates, until one side closes or the
//! connection becomes a stream of its own.

use std::io::{ErrorKind, Result};
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use super::ends::{self, Writer};
use super::gates::{Exchange, Gates, Orders};
use super::head::{self, Body, Request, Response};
use super::log::What;
use super::pass::Sink;

type Reader = BufReader<ends::Reader>;

/// Both ends of a connection, each way.
struct Ends {
    client: Reader,
    to_client: Writer,
    engine: Reader,
    to_engine: Writer,
}

/// What follows a response.
enum Then {
    AnotherRequest,
    Close,
}

/// Passes requests on until the connection ends. Tells the log if it broke.
pub(super) async fn serve(
    client: (ends::Reader, Writer),
    engine: (ends::Reader, Writer),
    gates: &Gates,
    number: u64,
) {
    let ((client, to_client), (engine, to_engine)) = (client, engine);
    let mut ends =
        Ends { client: BufReader::new(client), to_client, engine: BufReader::new(engine), to_engine };
    loop {
        let request = match head::read(&mut ends.client).await {
            Ok(None) => return,
            Ok(Some(bytes)) => Request::parse(bytes),
            Err(error) => Err(error),
        };
        let request = match request {
            Ok(request) => request,
            Err(error) => return gates.broke(number, error.to_string()),
        };
        let exchange = gates.begin(number, &request);
        match ends.exchange(&exchange, request).await {
            Ok(Then::AnotherRequest) => {}
            Ok(Then::Close) => return,
            Err(error) => return exchange.tell(What::Broken { why: error.to_string() }),
        }
    }
}

impl Ends {
    async fn exchange(&mut self, exchange: &Exchange<'_>, mut request: Request) -> Result<Then> {
        let orders = exchange.obey().await;
        if let Some((status, rule)) = &orders.refuse {
            self.to_client.write_all(&refusal(*status, rule)).await?;
            self.to_client.shutdown().await?;
            return Ok(Then::Close);
        }
        if let Some(version) = &orders.version {
            request.speak(version);
        }
        let limit = orders.drop_after.as_ref().map(|(limit, _)| *limit);
        let mut answer = Sink::new(&mut self.to_client, limit);
        (answer.flip_at, answer.bytes_a_second) = (orders.flip_at, orders.bytes_a_second);
        let sent = AtomicBool::new(false);
        let answered = {
            let upload = upload(&mut self.client, &mut self.to_engine, &request, &sent, orders.held);
            let download = download(&mut self.engine, &mut answer, &request.method);
            tokio::pin!(upload, download);
            let mut failed = false;
            // The answer may come before the whole request has gone, and may end it; it never comes instead of it.
            loop {
                tokio::select! {
                    biased;
                    outcome = &mut download => break outcome,
                    _ = &mut upload, if !failed => failed = true,
                }
            }
        };
        let response = match answered {
            Err(_) if answer.is_full() => {
                exchange.tell(dropped(orders));
                return Ok(Then::Close);
            }
            outcome => outcome?,
        };
        let sent = sent.load(Ordering::SeqCst);
        if response.body != Body::Stream {
            exchange.answered(response.status, answer.bytes, answer.gone);
            let again = sent && !response.closes && !answer.gone;
            return Ok(if again { Then::AnotherRequest } else { Then::Close });
        }
        exchange.tell(What::Tunnel { status: response.status });
        if sent {
            let mut question = Sink::new(&mut self.to_engine, None);
            let down = answer.stream(&mut self.engine);
            let up = question.stream(&mut self.client);
            if let (Err(_), _) = tokio::join!(down, up)
                && answer.is_full()
            {
                exchange.tell(dropped(orders));
                return Ok(Then::Close);
            }
        }
        exchange.answered(response.status, answer.bytes, answer.gone);
        Ok(Then::Close)
    }
}

fn dropped(orders: Orders) -> What {
    let (bytes, rule) = orders.drop_after.unwrap_or_default();
    What::Dropped { rule, bytes }
}

/// Sends the request; then watches the client for as long as it is polled, and tells the engine when it goes away. Ends
/// only with an error.
async fn upload(
    client: &mut Reader,
    to_engine: &mut Writer,
    request: &Request,
    sent: &AtomicBool,
    held: bool,
) -> Result<()> {
    let mut question = Sink::new(&mut *to_engine, None);
    question.put(&request.bytes).await?;
    question.body(client, request.body).await?;
    sent.store(true, Ordering::SeqCst);
    if !held && client.fill_buf().await?.is_empty() {
        to_engine.shutdown().await?;
    }
    std::future::pending().await
}

/// Passes interim responses and the response on.
async fn download(engine: &mut Reader, answer: &mut Sink<&mut Writer>, method: &str) -> Result<Response> {
    loop {
        let bytes = head::read(engine).await?.ok_or(ErrorKind::UnexpectedEof)?;
        let response = Response::parse(bytes, method)?;
        answer.put(&response.bytes).await?;
        if response.is_interim() {
            continue;
        }
        answer.body(engine, response.body).await?;
        return Ok(response);
    }
}

/// An answer as Docker's errors are.
fn refusal(status: u16, rule: &str) -> Vec<u8> {
    let body = serde_json::json!({ "message": format!("samebuild proxy: {rule}") }).to_string();
    let head = format!(
        "HTTP/1.1 {status} samebuild\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body.into_bytes()].concat()
}
