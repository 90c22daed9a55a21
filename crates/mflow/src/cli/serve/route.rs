//! From a request to a response.
use super::media::Media;
use super::metrics::Counted;
use super::refusal::Refusal;
use super::service::{Service, Wanted};
use super::task::Task;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{
    ALLOW, CONNECTION, CONTENT_TYPE, EXPECT, HeaderName, HeaderValue, RETRY_AFTER,
};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::json;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Names of the columns of an array.
const COLUMNS: HeaderName = HeaderName::from_static("mflow-columns");
/// How long the rest of a body is taken that is refused.
const LINGER: Duration = Duration::from_secs(1);
/// Bytes that are handed on at a time.
const CHUNK: usize = 1 << 16;

/// Answer a request, and count it.
pub(super) async fn respond(service: Arc<Service>, request: Request<Incoming>) -> Response<Sent> {
    let start = Instant::now();
    let (head, mut body) = request.into_parts();
    let task = Task::ALL.into_iter().find(|t| head.uri.path().strip_prefix('/') == Some(t.name()));
    let result = match task {
        Some(task) => ask(&service, task, &head, &mut body).await,
        None => look(&service, &head),
    };
    let response = match result {
        Ok(response) => response,
        Err(refusal) => {
            // Who waits to be told to go on sends nothing.
            if !head.headers.contains_key(EXPECT) {
                linger(&mut body).await;
            }
            refused(&refusal)
        }
    };
    service.metrics.count(task, response.status().as_u16(), start.elapsed());
    response
}

/// Take the rest of a body that is refused, for a while: a connection that is closed before it is read is cut off by the system, and
/// the client never reads why.
async fn linger(body: &mut Incoming) {
    let rest = async { while let Some(Ok(_)) = body.frame().await {} };
    timeout(LINGER, rest).await.ok();
}

/// What is no question to the model.
fn look(service: &Service, head: &Parts) -> Result<Response<Sent>, Refusal> {
    let is_stopping = service.is_stopping.load(Ordering::Relaxed);
    let (status, media, body) = match (head.uri.path(), &service.page) {
        ("/", Some(page)) => (StatusCode::OK, "text/html; charset=utf-8", page.clone()),
        ("/health", _) if is_stopping => (
            StatusCode::SERVICE_UNAVAILABLE,
            Media::Json.name(),
            json!({"status": "stopping"}).to_string().into(),
        ),
        ("/health", _) => {
            (StatusCode::OK, Media::Json.name(), json!({"status": "ok"}).to_string().into())
        }
        ("/model", _) => {
            (StatusCode::OK, Media::Json.name(), service.description().to_string().into())
        }
        ("/metrics", _) => {
            (StatusCode::OK, "text/plain; version=0.0.4", service.metrics.text().into())
        }
        (path, _) => {
            let path: String = path.chars().take(100).collect();
            let tasks = Task::ALL.map(|task| format!("/{}", task.name())).join(", ");
            return Err(Refusal::new(
                StatusCode::NOT_FOUND,
                format_args!(
                    "expected one of the paths {tasks}, /model, /health and /metrics, found {path:?}"
                ),
            ));
        }
    };
    if !matches!(head.method, Method::GET | Method::HEAD) {
        return Err(not_allowed("GET, HEAD", &head.method));
    }
    Ok(response(status, media, Sent::of(body, None)))
}

fn not_allowed(allow: &'static str, found: &Method) -> Refusal {
    let message = format!("expected the method {allow}, found {found}");
    Refusal { allow: Some(allow), ..Refusal::new(StatusCode::METHOD_NOT_ALLOWED, message) }
}

/// Put a question to the model.
async fn ask(
    service: &Arc<Service>,
    task: Task,
    head: &Parts,
    body: &mut Incoming,
) -> Result<Response<Sent>, Refusal> {
    if head.method != Method::POST {
        return Err(not_allowed("POST", &head.method));
    }
    let _counted = Counted::new(&service.metrics.in_flight);
    let from = Media::of_question(&head.headers)?;
    let to = Media::of_answer(&head.headers, from);
    let (body, _held) = read(service, body).await?;
    let at_work = Arc::clone(service);
    let (question, bytes) = work(move || at_work.question(task, from, &body)).await?;
    let permit = leave(service, &service.answers, bytes).await?;
    let is_gone = Arc::new(AtomicBool::new(false));
    // Raised when hyper drops this future, as it does where the connection ends.
    let _raise = Raise(Arc::clone(&is_gone));
    let wanted = Wanted { until: Instant::now() + service.limits.time, is_gone };
    let at_work = Arc::clone(service);
    let (bytes, columns) = work(move || at_work.answer(task, &question, to, &wanted)).await?;
    let mut response = response(StatusCode::OK, to.name(), Sent::of(bytes.into(), Some(permit)));
    if to == Media::Npy
        && let Ok(columns) = HeaderValue::from_str(&columns)
    {
        response.headers_mut().insert(COLUMNS, columns);
    }
    Ok(response)
}

/// What takes time, on a thread that may.
async fn work<T: Send + 'static>(
    f: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(f).await.unwrap_or_else(|_| {
        let message = "the computation failed; please report it";
        Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, message))
    })
}

/// Leave to hold so many bytes.
async fn leave(
    service: &Service,
    budget: &Arc<Semaphore>,
    bytes: usize,
) -> Result<OwnedSemaphorePermit, Refusal> {
    let permits = Arc::clone(budget).acquire_many_owned(service.units(bytes));
    let permit = timeout(service.limits.time, permits).await.ok().and_then(Result::ok);
    permit.ok_or_else(|| {
        Refusal::busy(format_args!(
            "other questions took all the memory for more than {} s; ask again later",
            service.limits.time.as_secs()
        ))
    })
}

/// The body of a question, and leave to hold it.
async fn read(
    service: &Service,
    body: &mut Incoming,
) -> Result<(Bytes, OwnedSemaphorePermit), Refusal> {
    let (limit, time) = (service.limits.body, service.limits.time);
    let too_large = |found: &str| {
        Refusal::too_large(format_args!(
            "expected a body of at most {limit} bytes, found {found}; ask for fewer rows at a time, or raise --max-body"
        ))
    };
    let hint = body.size_hint();
    if hint.lower() > limit as u64 {
        return Err(too_large(&hint.lower().to_string()));
    }
    let wished = hint.exact().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(limit);
    let permit = leave(service, &service.questions, wished).await?;
    let read = timeout(time, Limited::new(body, limit).collect()).await;
    let read = read.map_err(|_| {
        Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            format_args!("the body took more than {} s to arrive", time.as_secs()),
        )
    })?;
    match read {
        Ok(body) => Ok((body.to_bytes(), permit)),
        Err(e) if e.is::<LengthLimitError>() => Err(too_large("more")),
        Err(e) => Err(Refusal::bad(format_args!("the body could not be read: {e}"))),
    }
}

/// Raised when dropped.
struct Raise(Arc<AtomicBool>);

impl Drop for Raise {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn refused(refusal: &Refusal) -> Response<Sent> {
    let text = json!({ "error": refusal.message }).to_string();
    let mut response = response(refusal.status, Media::Json.name(), Sent::of(text.into(), None));
    let headers = response.headers_mut();
    if let Some(allow) = refusal.allow {
        headers.insert(ALLOW, HeaderValue::from_static(allow));
    }
    match refusal.status {
        StatusCode::SERVICE_UNAVAILABLE => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        // What is left of the body is not read.
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT => {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        _ => {}
    }
    response
}

fn response(status: StatusCode, media: &'static str, body: Sent) -> Response<Sent> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
    response
}

/// A body on its way out, which gives its memory back when all of it is handed on.
#[derive(Debug)]
pub(super) struct Sent {
    left: Bytes,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Sent {
    fn of(left: Bytes, permit: Option<OwnedSemaphorePermit>) -> Self {
        Self { left, _permit: permit }
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        let count = self.left.len().min(CHUNK);
        Poll::Ready(Some(Ok(Frame::data(self.left.split_to(count)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }
}
