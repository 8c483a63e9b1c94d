//! A client on tungstenite: somebody else's opinion of RFC 6455.

use std::net::{SocketAddr, TcpStream};

use serde_json::{Value, json};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Message, WebSocket};

use super::DEADLINE;

pub(crate) struct Client {
    pub(crate) socket: WebSocket<TcpStream>,
}

impl Client {
    /// Connects and takes the greeting.
    pub(crate) fn connect(address: SocketAddr, path: &str) -> Self {
        Self::connect_with_id(address, path).0
    }

    /// As [`Client::connect`], with the id that the greeting gave it.
    pub(crate) fn connect_with_id(address: SocketAddr, path: &str) -> (Self, String) {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let (socket, _) = tungstenite::client(format!("ws://{address}{path}"), stream).unwrap();
        let mut client = Self { socket };
        let greeting = client.json();
        assert_eq!(greeting["type"], "connected");
        (client, greeting["clientId"].as_str().unwrap().to_owned())
    }

    /// Sends a text message.
    pub(crate) fn send(&mut self, text: &str) {
        self.socket.send(Message::text(text)).unwrap();
    }

    /// Subscribes to symbols and takes the answer.
    pub(crate) fn subscribe(&mut self, symbols: &[&str]) {
        self.send(&json!({"action": "subscribe", "symbols": symbols}).to_string());
        let answer = self.json();
        assert_eq!(answer["type"], "subscribed", "{answer}");
    }

    /// The next text message that is no news of a source; those may come at any time.
    pub(crate) fn text(&mut self) -> String {
        loop {
            let text = self.any_text();
            if !text.starts_with(r#"{"type":"source""#) {
                return text;
            }
        }
    }

    /// The next news of a source.
    pub(crate) fn source_news(&mut self) -> Value {
        self.until_type("source")
    }

    /// The next message of a type; others are passed over.
    pub(crate) fn until_type(&mut self, wanted: &str) -> Value {
        loop {
            let message = self.any_json();
            if message["type"] == wanted {
                return message;
            }
        }
    }

    /// The next message as JSON, whatever it is.
    pub(crate) fn any_json(&mut self) -> Value {
        serde_json::from_str(&self.any_text()).unwrap()
    }

    /// The next text message, whatever it is.
    fn any_text(&mut self) -> String {
        loop {
            match self.socket.read().unwrap() {
                Message::Text(text) => return text.as_str().to_owned(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next text message as JSON.
    pub(crate) fn json(&mut self) -> Value {
        serde_json::from_str(&self.text()).unwrap()
    }

    /// The answer to a command.
    pub(crate) fn ask(&mut self, text: &str) -> Value {
        self.send(text);
        self.json()
    }

    /// Reads until the server closes; its code.
    pub(crate) fn close_code(&mut self) -> CloseCode {
        loop {
            match self.socket.read() {
                Ok(Message::Close(Some(frame))) => return frame.code,
                Ok(_) => {}
                Err(error) => panic!("no close frame: {error}"),
            }
        }
    }
}
