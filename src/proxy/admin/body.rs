//! Request bodies: bounded in size and time.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

use super::answer::Refusal;

/// The largest configuration that can be checked; everything else is smaller.
const MAX_BYTES: usize = 1 << 20;
const TIMEOUT: Duration = Duration::from_secs(10);

pub(super) async fn json<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Refusal> {
    let body = read(request).await?;
    serde_json::from_slice(&body)
        .map_err(|error| Refusal::bad_request(format!("the body is not the JSON expected: {error}")))
}

pub(super) async fn read(request: Request<Incoming>) -> Result<Bytes, Refusal> {
    let collected = Limited::new(request.into_body(), MAX_BYTES).collect();
    match tokio::time::timeout(TIMEOUT, collected).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 1 MiB"))
        }
        Ok(Err(_)) => Err(Refusal::bad_request("the body ended early or is malformed")),
        Err(_) => Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive within 10 seconds")),
    }
}
