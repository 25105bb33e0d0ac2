"""What a caller is told when a service fails and when it is back."""

from pathlib import Path

from fastapi.testclient import TestClient

from app import create_app
from app.settings import Settings
from tests.unit.fakes import fake_services


def test_whoever_is_connected_is_told_and_the_operator_can_see_it(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, data_dir=tmp_path, greeting=False)  # type: ignore[call-arg]
    services = fake_services()
    with TestClient(create_app(settings, services)) as client:
        ticket = client.post("/sessions").json()
        url = f"/orchestrate?session_id={ticket['session_id']}&token={ticket['token']}"
        with client.websocket_connect(url) as socket:
            socket.send_json({"type": "start", "sample_rate": 48000, "format": "pcm16"})
            assert client.portal is not None
            while socket.receive_json()["type"] != "state":
                pass
            client.portal.call(services.health.failed, "tts", "voice.example.org answers 500: oops")
            told = socket.receive_json()
            assert (told["code"], told["fatal"]) == ("tts_degraded", False)
            assert "built-in voice" in told["message"]
            assert "example.org" not in told["message"]
            assert client.get("/readyz").json()["degraded"] == ["tts"]
            assert 'parley_service_degraded{service="tts"} 1.0' in client.get("/metrics").text
            client.portal.call(services.health.worked, "tts")
            assert socket.receive_json()["code"] == "tts_restored"
            assert "degraded" not in client.get("/readyz").json()
