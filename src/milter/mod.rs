//! The milter: the MTA's callbacks into a session, its verdict and edits back to the MTA.
//!
//! This folder alone knows indymilter. Callbacks are thin: they take plain values out of the context and hand them to
//! `session`. What a session answers is decided in [`route`] and `sign`; which sockets are served, in [`server`].

mod diagnosing;
mod edits;
mod listen;
mod outgoing;
mod policy;
pub mod route;
pub mod server;
mod session;
mod state;
mod stream;
mod verifying;
mod view;
mod wire;

pub use listen::ListenError;
pub use server::Server;
pub use view::View;

use crate::config::Listener;
use arc_swap::ArcSwap;
use edits::Edit;
use indymilter::{
    Actions, Callbacks, Context, ContextActions, EomContext, MacroStage, Macros, NegotiateContext, ProtoOpts,
    SetErrorReply, SocketInfo, Status,
};
use route::Client;
use session::{Session, Verdict};
use state::Shared;
use std::{
    ffi::{CStr, CString},
    sync::Arc,
};

/// A session, and what was negotiated for its connection.
struct Connection {
    session: Session,
    options: ProtoOpts,
}

/// The callbacks for one listener.
fn callbacks(shared: &Arc<Shared>, listener: &Arc<ArcSwap<Listener>>) -> Callbacks<Connection> {
    let (shared, listener) = (shared.clone(), listener.clone());
    Callbacks::new()
        .on_negotiate(move |cx, actions, options| {
            let session = Session::new(shared.clone(), listener.clone());
            Box::pin(async move { negotiate(cx, actions, options, session) })
        })
        .on_connect(|cx, _, client| Box::pin(async move { connect(cx, client) }))
        .on_helo(|cx, name| Box::pin(async move { helo(cx, &name) }))
        .on_mail(|cx, arguments| Box::pin(async move { mail(cx, &arguments) }))
        .on_rcpt(|cx, arguments| Box::pin(async move { rcpt(cx, &arguments) }))
        .on_header(|cx, name, value| Box::pin(async move { header(cx, &name, &value) }))
        .on_eoh(|cx| Box::pin(async move { end_of_header(cx) }))
        .on_body(|cx, piece| {
            Box::pin(async move {
                if let Some(connection) = &mut cx.data {
                    connection.session.body(&piece);
                }
                reply(cx, ProtoOpts::NOREPLY_BODY)
            })
        })
        .on_eom(|cx| Box::pin(end_of_message(cx)))
        .on_abort(|cx| {
            Box::pin(async move {
                if let Some(connection) = &mut cx.data {
                    connection.session.abort();
                }
                Status::Continue
            })
        })
}

/// Asks for what we need and the MTA offers: silence wherever nothing is decided, values with their leading blank,
/// and the macros that we read. Without silence the conversation costs ten to twenty times as much (measured).
fn negotiate(cx: &mut NegotiateContext<Connection>, actions: Actions, offered: ProtoOpts, session: Session) -> Status {
    cx.requested_actions = (Actions::ADD_HEADER | Actions::CHANGE_HEADER | Actions::QUARANTINE) & actions;
    let wanted = ProtoOpts::NO_DATA
        | ProtoOpts::NO_UNKNOWN
        | ProtoOpts::NOREPLY_CONNECT
        | ProtoOpts::NOREPLY_HELO
        | ProtoOpts::NOREPLY_MAIL
        | ProtoOpts::NOREPLY_RCPT
        | ProtoOpts::NOREPLY_HEADER
        | ProtoOpts::NOREPLY_BODY
        | ProtoOpts::LEADING_SPACE;
    cx.requested_opts = wanted & offered;
    if actions.contains(Actions::REQUEST_MACROS) {
        cx.requested_actions |= Actions::REQUEST_MACROS;
        for (stage, names) in [
            (MacroStage::Connect, c""),
            (MacroStage::Helo, c""),
            (MacroStage::Mail, c"{auth_authen}"),
            (MacroStage::Rcpt, c""),
            (MacroStage::Eoh, c"i"),
            (MacroStage::Eom, c"i"),
        ] {
            cx.requested_macros.insert(stage, names.to_owned());
        }
    }
    cx.data = Some(Connection { session, options: cx.requested_opts });
    Status::Continue
}

/// The answer at a stage where nothing is decided: none, if the MTA agreed to that.
fn reply(cx: &Context<Connection>, silence: ProtoOpts) -> Status {
    match &cx.data {
        Some(connection) if connection.options.contains(silence) => Status::Noreply,
        _ => Status::Continue,
    }
}

fn connect(cx: &mut Context<Connection>, client: SocketInfo) -> Status {
    if let Some(connection) = &mut cx.data {
        connection.session.connect(match client {
            SocketInfo::Inet(address) => Client::Address(address.ip()),
            SocketInfo::Unix(_) => Client::Local,
            SocketInfo::Unknown => Client::Unknown,
        });
    }
    reply(cx, ProtoOpts::NOREPLY_CONNECT)
}

fn helo(cx: &mut Context<Connection>, name: &CStr) -> Status {
    if let Some(connection) = &mut cx.data {
        connection.session.helo(name.to_bytes());
    }
    reply(cx, ProtoOpts::NOREPLY_HELO)
}

fn mail(cx: &mut Context<Connection>, arguments: &[CString]) -> Status {
    let user = macro_value(&cx.macros, c"{auth_authen}");
    if let Some(connection) = &mut cx.data {
        connection.session.mail(arguments.first().map(|path| path.as_bytes()).unwrap_or_default(), user);
    }
    reply(cx, ProtoOpts::NOREPLY_MAIL)
}

fn rcpt(cx: &mut Context<Connection>, arguments: &[CString]) -> Status {
    if let (Some(connection), Some(recipient)) = (&mut cx.data, arguments.first()) {
        connection.session.rcpt(recipient.as_bytes());
    }
    reply(cx, ProtoOpts::NOREPLY_RCPT)
}

fn header(cx: &mut Context<Connection>, name: &CStr, value: &CStr) -> Status {
    if let Some(Connection { session, options }) = &mut cx.data {
        if options.contains(ProtoOpts::LEADING_SPACE) {
            session.header(name.to_bytes(), value.to_bytes());
        } else {
            // The MTA took one blank away (Sendmail does, by default): most likely one was there.
            let mut restored = b" ".to_vec();
            restored.extend_from_slice(value.to_bytes());
            session.header(name.to_bytes(), &restored);
        }
    }
    reply(cx, ProtoOpts::NOREPLY_HEADER)
}

fn end_of_header(cx: &mut Context<Connection>) -> Status {
    let queue_id = macro_value(&cx.macros, c"i").unwrap_or_default();
    let verdict = match &mut cx.data {
        Some(connection) => connection.session.end_of_header(&queue_id),
        None => Verdict::Accept,
    };
    status(&mut cx.reply, verdict)
}

async fn end_of_message(cx: &mut EomContext<Connection>) -> Status {
    let queue_id = macro_value(&cx.macros, c"i").unwrap_or_default();
    let Some(Connection { session, options }) = &mut cx.data else { return Status::Accept };
    let (edits, verdict) = session.end_of_message(&queue_id).await;
    let leading_space = options.contains(ProtoOpts::LEADING_SPACE);
    for edit in edits {
        if let Err(error) = apply(&cx.actions, edit, leading_space).await {
            // Never silently unsigned: without the field the message must wait.
            tracing::error!("{queue_id}: the MTA did not take our header field: {error}");
            return Status::Tempfail;
        }
    }
    status(&mut cx.reply, verdict)
}

/// Hands one edit to the MTA, which wants folds as LF.
async fn apply(actions: &impl ContextActions, edit: Edit, leading_space: bool) -> Result<(), indymilter::ActionError> {
    match edit {
        Edit::Insert { name, value } => {
            let value = value.replace("\r\n", "\n");
            let value = if leading_space { value.as_str() } else { value.trim_start() };
            actions.insert_header(INSERT_AT, c_string(name.as_bytes()), c_string(value.as_bytes())).await
        }
        Edit::Delete { name, instance } => {
            actions.change_header(c_string(name.as_bytes()), instance, None::<CString>).await
        }
        Edit::Quarantine(why) => actions.quarantine(c_string(why.as_bytes())).await,
    }
}

/// Where our fields go. Postfix hides its own first Received field from milters and counts from there: 0 is above it,
/// 1 below. A trace field is added on top of what was there (RFC 5321 §4.4), so the Received field of this host, which
/// Postfix wrote first, stays the top one and the order of hops stays readable.
const INSERT_AT: i32 = 1;

fn status(reply: &mut impl SetErrorReply, verdict: Verdict) -> Status {
    match verdict {
        Verdict::Continue => Status::Continue,
        Verdict::Accept => Status::Accept,
        Verdict::Tempfail(why) => {
            explain(reply, "451", &format!("4.{}", why.status), &why.text);
            Status::Tempfail
        }
        Verdict::Reject(why) => {
            explain(reply, "550", &format!("5.{}", why.status), &why.text);
            Status::Reject
        }
    }
}

/// The text for the sender's side, in which strangers may have had a hand; where it is refused, the MTA's own words do.
fn explain(reply: &mut impl SetErrorReply, code: &str, enhanced: &str, text: &str) {
    let text: String = text.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).take(400).collect();
    // A percent sign starts a macro in the replies of some MTAs.
    let _ = reply.set_error_reply(code, Some(enhanced), [text.replace('%', "%%")]);
}

fn macro_value(macros: &Macros, name: &CStr) -> Option<String> {
    macros.get(name).map(|value| value.to_string_lossy().into_owned())
}

/// A C string; a NUL, which no value of ours holds, would end it.
fn c_string(bytes: &[u8]) -> CString {
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    CString::new(&bytes[..end]).unwrap_or_default()
}
