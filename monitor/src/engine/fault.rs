//! Why an engine did not answer.

use std::io;
use std::time::Duration;

use super::grpc::GrpcError;

/// Why an engine did not answer. The text is for people, and has nothing of the engine's own but what is escaped at
/// each output.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// There is no socket.
    #[error("there is no socket")]
    Absent,
    /// The connection was refused, or broke.
    #[error("{0}")]
    Io(io::Error),
    /// It took too long.
    #[error("did not answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// It answered with more than is taken.
    #[error("answered with more than {0} bytes")]
    TooLarge(usize),
    /// What it said is not the protocol.
    #[error("answered with what is no {what}: {why}")]
    Garbage {
        /// What was expected.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// It refused.
    #[error("answered {what} with status {status}")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// The protocol's number.
        status: u16,
    },
    /// It refused, over gRPC.
    #[error("refused with gRPC code {code}: {message}")]
    Rpc {
        /// gRPC's code.
        code: u32,
        /// The engine's words.
        message: String,
    },
    /// The account that it is asked with is none, or is not known there.
    #[error("{0}")]
    Account(String),
    /// It lists more pods than a node can have.
    #[error("has more than {0} pods for this node")]
    TooMany(usize),
    /// Something listens there that offers no such service.
    #[error("does not offer {0}")]
    NotServed(&'static str),
    /// It closed the stream of events.
    #[error("closed the connection")]
    Closed,
}

impl Fault {
    /// True if nobody offers this engine here: not worth a word where it was only looked for.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent | Self::NotServed(_))
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Absent,
            _ => Self::Io(error),
        }
    }
}

impl From<GrpcError> for Fault {
    fn from(error: GrpcError) -> Self {
        match error {
            GrpcError::Connect(error) => error.into(),
            GrpcError::Transport(error) => Self::Io(io::Error::other(error)),
            GrpcError::Timeout(limit) => Self::TimedOut(limit),
            GrpcError::TooLarge { limit, .. } => Self::TooLarge(limit),
            GrpcError::Refused { code, message } => Self::Rpc { code, message },
            GrpcError::Http(_) | GrpcError::Malformed(_) | GrpcError::Decode(_) => {
                Self::Garbage { what: "gRPC answer", why: error.to_string() }
            }
        }
    }
}
