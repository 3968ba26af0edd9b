"""Entries of the cache: each type, with and without what it needs."""

from __future__ import annotations

from collections.abc import Mapping

from tests.lint_corpus.entries import Entry

_FAILS = "each request fails, or is not cached"


def _cache(params: str | None = None, value: str = "true") -> str:
    return f"litellm_settings: {{cache: {value}{'' if params is None else f', cache_params: {{{params}}}'}}}\n"


ENTRIES: Mapping[str, Entry | str] = {
    "alone": _cache(),
    "alone-by-variable": Entry(_cache(), environment={"REDIS_HOST": "127.0.0.1", "REDIS_PORT": "9"}),
    "alone-by-url": Entry(_cache(), environment={"REDIS_URL": "redis://127.0.0.1:9"}),
    "off": _cache("type: zebra", value="false"),
    "word": Entry(_cache(value='"true"'), breaks=_FAILS),
    "number": Entry(_cache(value="1"), breaks=_FAILS),
    "mapping": Entry("litellm_settings: {cache: {type: redis, host: 127.0.0.1}}\n", breaks=_FAILS),
    "variable-true": Entry(_cache("type: local", value="os.environ/CACHE"), environment={"CACHE": "true"}),
    "variable-one": Entry(_cache("type: local", value="os.environ/CACHE"), environment={"CACHE": "1"}, breaks=_FAILS),
    "params-empty": Entry(_cache("")),
    "params-nothing": "litellm_settings: {cache: true, cache_params: }\n",
    "params-list": "litellm_settings: {cache: true, cache_params: [type, redis]}\n",
    "params-word": "litellm_settings: {cache: true, cache_params: redis}\n",
    "params-without-cache": "litellm_settings: {cache_params: {type: zebra}}\n",
    "local": _cache("type: local, ttl: 60"),
    "local-misspelled": _cache("type: locale"),
    "in-memory": _cache("type: in-memory"),
    "upper-case": _cache("type: Redis, host: 127.0.0.1"),
    "type-number": _cache("type: 1"),
    "type-nothing": _cache("type: "),
    "type-list": _cache("type: [redis]"),
    "memcached": _cache("type: memcached, host: 127.0.0.1"),
    "redis": _cache("type: redis, host: 127.0.0.1, port: 9, socket_timeout: 1"),
    "redis-url": _cache('type: redis, url: "redis://127.0.0.1:9"'),
    "redis-port-text": _cache('type: redis, host: 127.0.0.1, port: "9"'),
    "redis-without-host": _cache("type: redis, port: 9"),
    "redis-host-variable-unset": _cache("type: redis, host: os.environ/REDIS_HOST"),
    "redis-unknown-key": _cache("type: redis, host: 127.0.0.1, pool_size: 5"),
    "redis-misspelled-key": _cache("type: redis, host: 127.0.0.1, pasword: k"),
    "redis-url-unknown-key": _cache('type: redis, url: "redis://127.0.0.1:9", pool_size: 5'),
    "redis-ttl-word": _cache("type: redis, host: 127.0.0.1, ttl: long"),
    "redis-sentinel": _cache("type: redis, sentinel_nodes: [[127.0.0.1, 9]], service_name: mymaster"),
    "redis-sentinel-without-service": _cache("type: redis, sentinel_nodes: [[127.0.0.1, 9]]"),
    "redis-nested": _cache("type: redis, redis_params: {host: 127.0.0.1}"),
    "redis-semantic": _cache("type: redis-semantic, host: 127.0.0.1, port: 9, password: k, similarity_threshold: 0.8"),
    "redis-semantic-underscore": _cache("type: redis_semantic, host: 127.0.0.1, similarity_threshold: 0.8"),
    "qdrant-without-collection": _cache(
        'type: qdrant-semantic, qdrant_api_base: "http://127.0.0.1:9", similarity_threshold: 0.8'
    ),
    "s3": _cache("type: s3, s3_bucket_name: b, s3_region_name: eu-central-1"),
    "s3-without-bucket": _cache("type: s3"),
    "s3-unknown-key": _cache("type: s3, s3_bucket_name: b, s3_region_name: eu-central-1, bucket: b"),
    "gcs": _cache("type: gcs, gcs_bucket_name: b"),
    "disk": _cache("type: disk, disk_cache_dir: ./cache"),
    "azure-blob-without-container": _cache('type: azure-blob, azure_account_url: "https://a.blob.core.windows.net"'),
    "mode": _cache("type: local, mode: default_off"),
    "mode-word": Entry(_cache("type: local, mode: off"), breaks=_FAILS),
    "call-types": _cache("type: local, supported_call_types: [acompletion, aembedding]"),
    "call-types-word": _cache("type: local, supported_call_types: acompletion"),
    "call-types-unknown": Entry(_cache("type: local, supported_call_types: [chat]"), breaks=_FAILS),
    "call-types-empty": _cache("type: local, supported_call_types: []"),
    "local-unknown-key": _cache("type: local, max_size: 5"),
    "namespace": _cache("type: local, namespace: app"),
    "in-general": Entry(
        "general_settings: {master_key: os.environ/LITELLM_MASTER_KEY, cache: true}\n", breaks="it is not read"
    ),
    "in-router": Entry("router_settings: {cache_params: {type: local}}\n", breaks="it is not read"),
    "at-top": Entry("cache: true\n", breaks="it is not read"),
    "coordination": (
        "general_settings: {master_key: os.environ/LITELLM_MASTER_KEY, coordination_redis: {host: 127.0.0.1}}\n"
    ),
    "coordination-word": (
        "general_settings: {master_key: os.environ/LITELLM_MASTER_KEY, coordination_redis: 127.0.0.1}\n"
    ),
    "coordination-unknown-key": (
        "general_settings: {master_key: os.environ/LITELLM_MASTER_KEY, "
        "coordination_redis: {host: 127.0.0.1, pool_size: 5}}\n"
    ),
}
