//! Outgoing HTTP of functions, which reaches `allowed_outbound_hosts` only. `http://<component>.spin.internal`
//! is another component of the manifest. Requests of a component with `public_only` go through the guard, whatever its
//! hosts are.

use super::{
    connections::{Connections, HttpClient},
    intercept::Interceptor,
    interface::{GrantContext, Interface, View},
};
use crate::outbound::{AllowedHosts, Scheme};
use anyhow::Result;
use futures::StreamExt;
use http::{HeaderName, HeaderValue, header, uri};
use http_body_util::{BodyExt, BodyStream, Full, StreamBody};
use outgoing::{CONNECT_WITHIN, Failure, Outgoing};
use std::{sync::Arc, time::Duration};
use tracing::Span;
use wasm::Data;
use wasmtime::component::Linker;
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpHooks, default_send_request, handler::Request,
};

/// The domain of components that call each other, as in Spin.
const INTERNAL_DOMAIN: &str = ".spin.internal";
/// The time that a server has to answer unless the guest says otherwise. The request's deadline comes first.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(600);
/// The time for which the head of a request waits for its body.
const BEGINNING_WITHIN: Duration = Duration::from_millis(2);

type Finished = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Result<(http::Response<WasiBody>, Finished), Error>;

/// The hosts that a component may send requests to.
pub struct Grant {
    component: String,
    allowed_hosts: Arc<AllowedHosts>,
    /// The guarded client, if the component may reach public addresses only.
    outgoing: Option<Arc<Outgoing>>,
}

/// The interface in one instance, which wasmtime calls when the guest makes a request.
pub struct Outbound {
    grant: Arc<Grant>,
    client: HttpClient,
    interceptor: Option<Arc<dyn Interceptor>>,
}

impl Interface for Outbound {
    type Grant = Grant;

    fn grant(context: &GrantContext<'_>) -> Result<Grant> {
        Ok(Grant {
            component: context.component.id.clone(),
            allowed_hosts: context.allowed_hosts.clone(),
            outgoing: (context.component.settings.public_only).then(|| context.outgoing.clone()),
        })
    }

    fn new(grant: &Arc<Grant>, connections: &Connections) -> Self {
        Self {
            grant: grant.clone(),
            client: connections.http.clone(),
            interceptor: connections.interceptor.clone(),
        }
    }

    /// Adds nothing, since every linker has wasmtime's own functions, which call the hooks below.
    fn add_to_linker(
        _: &mut Linker<Data>,
        _: fn(&mut Data) -> View<'_, Self>,
    ) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl Outbound {
    fn allows(&self, uri: &http::Uri) -> bool {
        let scheme = match uri.scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            _ => return false,
        };
        let port = uri.port_u16().unwrap_or(match scheme {
            Scheme::Https => 443,
            _ => 80,
        });
        uri.host()
            .is_some_and(|host| self.grant.allowed_hosts.allows(scheme, host, port))
    }
}

impl WasiHttpHooks for Outbound {
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        is_forbidden(name)
    }

    fn forbidden_header_filter(&mut self) -> wasmtime_wasi_http::ForbiddenHeaderFilter {
        Arc::new(is_forbidden)
    }

    fn is_supported_scheme(&mut self, scheme: &uri::Scheme) -> bool {
        *scheme == uri::Scheme::HTTP || *scheme == uri::Scheme::HTTPS
    }

    fn send_request(
        &mut self,
        mut request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Finished,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        if !self.allows(request.uri()) {
            tracing::warn!(
                component = self.grant.component,
                host = request.uri().host(),
                "refused: add the host to allowed_outbound_hosts"
            );
            return Box::new(async { Err(Error::HttpRequestDenied) });
        }
        if let Some(outgoing) = self.grant.outgoing.clone() {
            return Box::new(send_guarded(outgoing, request, options));
        }
        carry_trace(&mut request);
        let host = request.uri().host().unwrap_or_default();
        if let Some(component) = host.strip_suffix(INTERNAL_DOMAIN) {
            let component = component.to_owned();
            let interceptor = self.interceptor.as_ref();
            let called = interceptor.map(|other| other.call(&component, request));
            return Box::new(async move {
                let response = called.ok_or(Error::DestinationUnavailable)?.await?;
                let finished: Finished = Box::new(async { Ok(()) });
                let whole = |body| Full::new(body).map_err(|never| match never {});
                Ok((response.map(|body| whole(body).boxed_unsync()), finished))
            });
        }
        if request.uri().scheme() == Some(&uri::Scheme::HTTP) {
            return Box::new(send_plain(self.client.clone(), request, options));
        }
        Box::new(async move {
            let (response, io) = default_send_request(request, options).await?;
            Ok((
                response.map(BodyExt::boxed_unsync),
                Box::new(io) as Finished,
            ))
        })
    }
}

/// Names the present span where the component names a trace, so that what it asks becomes a part of it. Others are not
/// told of traces.
fn carry_trace(request: &mut Request) {
    if !request.headers().contains_key(trace::TRACEPARENT) {
        return;
    }
    let own = trace::traceparent(&Span::current());
    if let Some(own) = own.and_then(|own| HeaderValue::try_from(own).ok()) {
        request.headers_mut().insert(trace::TRACEPARENT, own);
    }
}

/// Sends a request to a host that a stranger named, over a connection of its own.
async fn send_guarded(
    outgoing: Arc<Outgoing>,
    request: Request,
    options: Option<RequestOptions>,
) -> Sent {
    let options = options.as_ref();
    let connect_within = options.and_then(|options| options.connect_timeout);
    let patience = options.and_then(|options| options.first_byte_timeout);
    let sent = outgoing.send(request, connect_within.unwrap_or(CONNECT_WITHIN), ());
    let sent = tokio::time::timeout(patience.unwrap_or(FIRST_BYTE_TIMEOUT), sent);
    let sent = sent.await.map_err(|_| Error::ConnectionReadTimeout)?;
    let (response, connection) = sent.map_err(unreached)?;
    let finished: Finished = Box::new(async move {
        drop(connection.await);
        Ok(())
    });
    let response = response.map(|body| body.map_err(unreached).boxed_unsync());
    Ok((response, finished))
}

/// The error of a guarded request, for the guest.
fn unreached(failure: Failure) -> Error {
    match failure {
        Failure::DoesNotResolve => Error::DestinationNotFound,
        Failure::PrivateAddress => Error::HttpRequestDenied,
        Failure::ConnectionTimeout => Error::ConnectionTimeout,
        Failure::Connect(error) => Error::Connect(error),
        Failure::Tls(error) => Error::Tls(error),
        Failure::Http(error) => error.into(),
        Failure::TooLarge => Error::HttpResponseBodySize(None),
        Failure::InvalidUri => Error::HttpRequestUriInvalid,
    }
}

/// Sends a request over a kept connection, or over a new one.
async fn send_plain(client: HttpClient, request: Request, options: Option<RequestOptions>) -> Sent {
    let patience = options
        .and_then(|options| options.first_byte_timeout)
        .unwrap_or(FIRST_BYTE_TIMEOUT);
    let request = with_beginning(request).await;
    let response = tokio::time::timeout(patience, client.request(request))
        .await
        .map_err(|_| Error::ConnectionReadTimeout)?
        .map_err(refused)?;
    let finished: Finished = Box::new(async { Ok(()) });
    let response = response.map(|body| body.map_err(Error::from).boxed_unsync());
    Ok((response, finished))
}

/// Waits a moment for the beginning of a body whose length is known, so that a small body is sent together with its
/// head and the server wakes up once.
async fn with_beginning(request: Request) -> Request {
    if !request.headers().contains_key(header::CONTENT_LENGTH) {
        return request;
    }
    let (parts, mut body) = request.into_parts();
    let Ok(first) = tokio::time::timeout(BEGINNING_WITHIN, body.frame()).await else {
        return Request::from_parts(parts, body);
    };
    let beginning = StreamBody::new(futures::stream::iter(first));
    let whole = StreamBody::new(beginning.chain(BodyStream::new(body)));
    Request::from_parts(parts, BodyExt::boxed_unsync(whole))
}

/// The error of a request, for the guest.
fn refused(error: hyper_util::client::legacy::Error) -> Error {
    if error.is_connect() {
        return Error::ConnectionRefused;
    }
    Error::ConnectionTerminated
}

/// Removes the headers that belong to a connection (RFC 9110, section 7.6.1), which are the host's own.
pub fn is_forbidden(name: &HeaderName) -> bool {
    *name == header::CONNECTION
        || *name == header::HOST
        || *name == header::TRANSFER_ENCODING
        || *name == header::UPGRADE
        || *name == header::PROXY_AUTHENTICATE
        || *name == header::PROXY_AUTHORIZATION
        || matches!(
            name.as_str(),
            "keep-alive" | "proxy-connection" | "http2-settings"
        )
}
