//! From a request to a response.
use super::media::Media;
use super::metrics::Counted;
use super::refusal::Refusal;
use super::service::{Service, Wanted};
use super::task::Task;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::json;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

/// Names of the columns of an array.
const COLUMNS: HeaderName = HeaderName::from_static("mflow-columns");
/// Bytes that are handed on at a time.
const CHUNK: usize = 1 << 16;

/// Answer a request, and count it.
pub(super) async fn respond(service: Arc<Service>, request: Request<Incoming>) -> Response<Sent> {
    let start = Instant::now();
    let task =
        Task::ALL.into_iter().find(|t| request.uri().path().strip_prefix('/') == Some(t.name()));
    let result = match task {
        Some(task) => ask(&service, task, request).await,
        None => look(&service, &request),
    };
    let response = result.unwrap_or_else(|refusal| refused(&refusal));
    service.metrics.count(task, response.status().as_u16(), start.elapsed());
    response
}

/// What is no question to the model.
fn look(service: &Service, request: &Request<Incoming>) -> Result<Response<Sent>, Refusal> {
    let is_stopping = service.is_stopping.load(Ordering::Relaxed);
    let (status, media, text) = match request.uri().path() {
        "/health" if is_stopping => (
            StatusCode::SERVICE_UNAVAILABLE,
            Media::Json.name(),
            json!({"status": "stopping"}).to_string(),
        ),
        "/health" => (StatusCode::OK, Media::Json.name(), json!({"status": "ok"}).to_string()),
        "/model" => (StatusCode::OK, Media::Json.name(), service.description().to_string()),
        "/metrics" => (StatusCode::OK, "text/plain; version=0.0.4", service.metrics.text()),
        path => {
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
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(not_allowed("GET, HEAD", request.method()));
    }
    Ok(response(status, media, Sent::of(text.into_bytes(), None)))
}

fn not_allowed(allow: &'static str, found: &Method) -> Refusal {
    let message = format!("expected the method {allow}, found {found}");
    Refusal { allow: Some(allow), ..Refusal::new(StatusCode::METHOD_NOT_ALLOWED, message) }
}

/// Put a question to the model.
async fn ask(
    service: &Arc<Service>,
    task: Task,
    request: Request<Incoming>,
) -> Result<Response<Sent>, Refusal> {
    if request.method() != Method::POST {
        return Err(not_allowed("POST", request.method()));
    }
    let _counted = Counted::new(&service.metrics.in_flight);
    let from = Media::of_question(request.headers())?;
    let to = Media::of_answer(request.headers(), from);
    let (body, permit) = read(service, request.into_body()).await?;
    let is_gone = Arc::new(AtomicBool::new(false));
    // Raised when hyper drops this future, as it does where the connection ends.
    let _raise = Raise(Arc::clone(&is_gone));
    let wanted = Wanted { until: Instant::now() + service.limits.time, is_gone };
    let at_work = Arc::clone(service);
    let work = move || at_work.answer(task, (from, to), &body, &wanted);
    let answer = tokio::task::spawn_blocking(work).await;
    let (bytes, columns) = answer.map_err(|_| {
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the computation failed; please report it")
    })??;
    let mut response = response(StatusCode::OK, to.name(), Sent::of(bytes, Some(permit)));
    if to == Media::Npy
        && let Ok(columns) = HeaderValue::from_str(&columns)
    {
        response.headers_mut().insert(COLUMNS, columns);
    }
    Ok(response)
}

/// The body of a question, and leave to hold it.
async fn read(service: &Service, body: Incoming) -> Result<(Bytes, OwnedSemaphorePermit), Refusal> {
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
    let permits = Arc::clone(&service.budget).acquire_many_owned(service.units(wished));
    let permit = timeout(time, permits).await.ok().and_then(Result::ok).ok_or_else(|| {
        Refusal::busy(format_args!(
            "other questions took all the memory for more than {} s; ask again later",
            time.as_secs()
        ))
    })?;
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
    let mut response =
        response(refusal.status, Media::Json.name(), Sent::of(text.into_bytes(), None));
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
    fn of(bytes: Vec<u8>, permit: Option<OwnedSemaphorePermit>) -> Self {
        Self { left: bytes.into(), _permit: permit }
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
