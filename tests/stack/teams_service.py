"""A service of a team's own that does a little of all that the SDK measures, and the names under which that arrives."""

import os
import subprocess
import sys

REQUESTS = 3
CARD = "4111111111111111"

SERVICE = f"""
import asyncio, gc, httpx, shopscope, sqlalchemy
from fastapi import FastAPI

app = FastAPI()
shopscope.init("storefront", app=app)
engine = sqlalchemy.create_engine("sqlite:///stock.db", poolclass=sqlalchemy.QueuePool)
reserve = shopscope.guard("stock", kind="retry", operation="reserve")


@app.post("/checkout")
async def checkout():
    with reserve, engine.connect() as connection:
        connection.execute(sqlalchemy.text("SELECT 1"))
    reserve.event("retried")
    shopscope.cache_read("catalogue", "hit", age_seconds=1.5)
    shopscope.write_conflict("stock")
    shopscope.stale_read("price")
    shopscope.order_placed(62.40)
    shopscope.get_logger().info("order placed", note="paid with {CARD}")


async def shop():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop.example") as client:
        for _ in range({REQUESTS}):
            (await client.post("/checkout")).raise_for_status()
    gc.collect()
    await asyncio.sleep(0.5)


asyncio.run(shop())
"""
JOURNEYS = """
[journeys.checkout]
routes = ["POST /checkout"]
service = "storefront"
objective = 0.995
latency = "30s"
"""
# A collector that knows nothing of us; port and sink are filled in.
COLLECTOR = """
receivers: {{otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{port}"}}}}}}}}
exporters: {{otlp_http: {{endpoint: "{sink}"}}}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [otlp_http]}}
    metrics: {{receivers: [otlp], exporters: [otlp_http]}}
    logs: {{receivers: [otlp], exporters: [otlp_http]}}
"""
# DESIGN's names, as docs/reference/metrics.md has them, each with its labels.
EVERYWHERE = {"service_name", "service_instance_id", "deployment_environment_name"}
SERIES = {
    "http_server_request_duration_seconds_bucket": {
        "http_request_method",
        "http_route",
        "http_response_status_code",
        "le",
    },
    "http_server_active_requests": set(),
    "shopscope_journey_duration_seconds_bucket": {"journey", "le"},
    "shopscope_journey_started_total": {"journey"},
    "shopscope_slo_events_total": {"journey", "outcome"},
    "shopscope_dependency_duration_seconds_bucket": {"journey", "peer", "kind", "access", "outcome", "le"},
    "shopscope_guard_info": {"peer", "operation", "kind"},
    "shopscope_guard_events_total": {"peer", "operation", "kind", "event"},
    "shopscope_event_loop_lag_seconds_bucket": {"le"},
    "shopscope_gc_pause_seconds_bucket": {"le"},
    "db_client_connection_count": {"pool", "state"},
    "db_client_connection_wait_time_seconds_bucket": {"pool", "le"},
    "shopscope_cache_requests_total": {"cache", "result"},
    "shopscope_cache_entry_age_seconds_bucket": {"cache", "result", "le"},
    "shopscope_write_conflicts_total": {"entity"},
    "shopscope_stale_reads_total": {"entity"},
    "shopscope_orders_total": {"currency"},
    "shopscope_order_value_total": {"currency"},
    "shopscope_sdk_spans_total": {"signal"},
    "shopscope_sdk_dropped_total": {"signal", "reason"},
    "shopscope_sdk_export_seconds_bucket": {"signal", "le"},
}


def service(folder, endpoint, environment="", **variables):
    """Three orders in a service of the team's own, and all its telemetry sent."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "SHOPSCOPE_"))}
    kept["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint
    kept["OTEL_RESOURCE_ATTRIBUTES"] = f"deployment.environment.name={environment}" if environment else ""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "service.py").write_text(SERVICE, encoding="utf-8")
    (folder / "shopscope.toml").write_text(JOURNEYS, encoding="utf-8")
    subprocess.run([sys.executable, "service.py"], cwd=folder, env=kept | variables, capture_output=True, check=True)
