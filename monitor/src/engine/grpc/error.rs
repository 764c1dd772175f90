//! What can go wrong between a question over gRPC and its answer.

use std::io;
use std::time::Duration;

/// gRPC's code for a method that the server does not have (`doc/statuscodes.md` of gRPC).
const UNIMPLEMENTED: u32 = 12;
/// gRPC's code for a thing that is not there.
const NOT_FOUND: u32 = 5;

/// Why a question over gRPC was not answered.
#[derive(Debug, thiserror::Error)]
pub enum GrpcError {
    /// The socket cannot be connected to.
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    /// The connection broke, or the other side speaks no HTTP/2.
    #[error("the connection failed: {0}")]
    Transport(#[from] h2::Error),
    /// No whole answer in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// An HTTP status other than 200, so it is no gRPC server.
    #[error("no gRPC server: HTTP status {0}")]
    Http(u16),
    /// The server refuses.
    #[error("refused with gRPC code {code}: {message}")]
    Refused {
        /// gRPC's code.
        code: u32,
        /// The server's words, cut after [`MAX_MESSAGE`](super::MAX_MESSAGE) bytes.
        message: String,
    },
    /// One message is larger than allowed.
    #[error("a message of {bytes} bytes; {limit} are allowed")]
    TooLarge {
        /// Its size, as announced.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The answer breaks the protocol.
    #[error("not a gRPC answer: {0}")]
    Malformed(&'static str),
    /// The message is not what the method answers.
    #[error("not the message that was asked for: {0}")]
    Decode(#[from] prost::DecodeError),
}

impl GrpcError {
    /// True if the server has no such service or method.
    pub fn is_unimplemented(&self) -> bool {
        matches!(self, Self::Refused { code: UNIMPLEMENTED, .. })
    }

    /// True if the server knows no such thing.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { code: NOT_FOUND, .. })
    }

    /// True if the connection itself may still be good.
    pub fn is_about_one_call(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::TooLarge { .. } | Self::Decode(_) | Self::Malformed(_))
    }
}
