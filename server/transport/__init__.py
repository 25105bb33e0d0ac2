"""How a client is connected: WebRTC, WebSocket, and what both share."""
