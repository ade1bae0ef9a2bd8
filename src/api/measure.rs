//! Rate, errors and duration of every method.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use prost::Message;
use prost_types::FileDescriptorSet;
use tonic::codegen::http::{Request, Response};
use tonic::{Code, Status};
use tower::{Layer, Service};

use crate::clock::Stopwatch;
use crate::proto::FILE_DESCRIPTOR_SET;
use crate::telemetry::MethodMetrics;

type Methods = Arc<HashMap<String, Arc<MethodMetrics>, foldhash::fast::FixedState>>;

/// Measures the calls of the services it wraps. Paths that are no method of ours are not counted by name, so that
/// nobody can fill the memory with made-up names.
#[derive(Clone)]
pub struct MeasureLayer {
    methods: Methods,
}

impl Default for MeasureLayer {
    fn default() -> Self {
        // Compiled in: it decodes, or no test passes.
        let files = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap_or_default();
        let mut methods = HashMap::default();
        for file in &files.file {
            for service in &file.service {
                for method in &service.method {
                    let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                    let name = format!("{}/{}", service.name(), method.name());
                    methods.insert(path, Arc::new(MethodMetrics::of(&name)));
                }
            }
        }
        Self { methods: Arc::new(methods) }
    }
}

impl<S> Layer<S> for MeasureLayer {
    type Service = Measure<S>;

    fn layer(&self, inner: S) -> Measure<S> {
        Measure { inner, methods: self.methods.clone() }
    }
}

/// A service that is measured.
#[derive(Clone)]
pub struct Measure<S> {
    inner: S,
    methods: Methods,
}

impl<S, A, B> Service<Request<A>> for Measure<S>
where
    S: Service<Request<A>, Response = Response<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Measured<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let metrics = self.methods.get(request.uri().path()).cloned();
        Measured { took: Stopwatch::start(), metrics, call: self.inner.call(request) }
    }
}

pin_project! {
    /// A call that is measured.
    pub struct Measured<F> {
        took: Stopwatch,
        metrics: Option<Arc<MethodMetrics>>,
        #[pin]
        call: F,
    }
}

impl<F, B, E> Future for Measured<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let answered = this.call.poll(context);
        if let (Poll::Ready(Ok(response)), Some(metrics)) = (&answered, this.metrics) {
            // An error is answered by headers alone; without the header the call went well.
            let code = Status::from_header_map(response.headers()).map(|status| status.code());
            metrics.ended(code.filter(|code| *code != Code::Ok), this.took.elapsed());
        }
        answered
    }
}
