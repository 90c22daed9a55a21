//! Connections: who may open one, how long it may be silent, and how all of them end.
use super::metrics::Counted;
use super::route::respond;
use super::service::Service;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;

/// How often signals are looked for.
const TICK: Duration = Duration::from_millis(20);
/// Bytes of a request's line and headers.
const HEADER_BYTES: usize = 1 << 14;
/// A pause after a connection that the system refuses, as where there are too many files.
const PAUSE: Duration = Duration::from_millis(50);

/// Answer until `is_stopped`, then what was asked. The number of connections that took too long and were cut off.
pub(super) fn serve(
    listener: TcpListener,
    service: &Arc<Service>,
    is_stopped: &dyn Fn() -> bool,
) -> io::Result<usize> {
    // One thread for connections; computations have those of the pool, and some that prepare and pack for them.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(2 * service.pool.threads())
        .build()?;
    let cut_off = runtime.block_on(accept(listener, service, is_stopped))?;
    // Without waiting for computations whose connections are gone: they notice.
    runtime.shutdown_background();
    Ok(cut_off)
}

async fn accept(
    listener: TcpListener,
    service: &Arc<Service>,
    is_stopped: &dyn Fn() -> bool,
) -> io::Result<usize> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(service.limits.connections));
    let stopped = async {
        while !is_stopped() {
            sleep(TICK).await;
        }
    };
    tokio::pin!(stopped);
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, stream) = tokio::select! {
            () = &mut stopped => break,
            (place, accepted) = next => match accepted {
                Ok((stream, _)) => (place, stream),
                Err(_) => {
                    sleep(PAUSE).await;
                    continue;
                }
            },
        };
        let connection = connection(stream, Arc::clone(service), &graceful);
        let service = Arc::clone(service);
        tokio::spawn(async move {
            let _counted = Counted::new(&service.metrics.connections);
            connection.await;
            drop(place);
        });
    }
    service.is_stopping.store(true, Ordering::Relaxed);
    drop(listener);
    let (open, metrics) = (graceful.count(), &service.metrics.connections);
    match timeout(service.limits.time, graceful.shutdown()).await {
        Ok(()) => Ok(0),
        Err(_) => Ok(usize::try_from(metrics.load(Ordering::Relaxed)).unwrap_or(open)),
    }
}

/// Serve one connection to its end; a client that breaks the rules is its own concern.
fn connection(
    stream: tokio::net::TcpStream,
    service: Arc<Service>,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + use<> {
    // Answers are small: they should not wait to be sent together.
    stream.set_nodelay(true).ok();
    let time = service.limits.time;
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(time));
    let answer = service_fn(move |request| {
        let service = Arc::clone(&service);
        async move { Ok::<_, Infallible>(respond(service, request).await) }
    });
    let connection = Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(time)
        .max_header_size(HEADER_BYTES)
        .serve_connection(TokioIo::new(Box::pin(stream)), answer);
    let connection = graceful.watch(connection);
    async move {
        connection.await.ok();
    }
}
