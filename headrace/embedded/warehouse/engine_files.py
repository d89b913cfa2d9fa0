"""The engine's configuration: its users' rights and bounds, written anew at every start."""

from pathlib import Path
from typing import Final

from headrace.embedded.warehouse.rules import HOME_DATABASE

# What any role may hold at most. Not there: FILE, URL, REMOTE, S3 and every other source, SYSTEM, BACKUP, users, roles.
_READ: Final = "SELECT, SHOW, CHECK"
_CHANGE: Final = "INSERT, CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP, ALTER, TRUNCATE, OPTIMIZE, UNDROP TABLE"
_PROTECTED: Final = ("system", "INFORMATION_SCHEMA", "information_schema")

# A second lock on settings that would change what a statement means behind the fence's back.
_CONSTANT: Final = (
    "dialect",
    "allow_experimental_kusto_dialect",
    "allow_experimental_prql_dialect",
    "allow_experimental_polyglot_dialect",
    "enable_json_ast_dialect",
    "enable_trino_dialect",
    "additional_table_filters",
    "additional_result_filter",
    "parallel_replicas_custom_key",
    "format_schema",
    "format_template_row",
    "format_template_resultset",
    "input_format_record_errors_file_path",
    "allow_experimental_ai_functions",
    "allow_python_table_function",
    "log_queries",
    "log_queries_min_type",
    "log_queries_min_query_duration_ms",
    "log_queries_probability",
)

_LOGGED_ERRORS: Final = 10_000

_PASSIVE: Final = {
    "allow_introspection_functions": "0",
    "allow_python_table_function": "0",
    "allow_experimental_ai_functions": "0",
    "async_insert": "0",
    "http_max_tries": "1",
    "http_connection_timeout": "1",
    "max_query_size": str(8 * 2**20),
    "max_ast_elements": "200000",
    "max_expanded_ast_elements": "500000",
    "query_profiler_real_time_period_ns": "0",
    "query_profiler_cpu_time_period_ns": "0",
    "send_logs_level": "none",
    # Only errors are logged, by which an INSERT that failed is told from others (`proof`).
    "log_queries": "1",
    "log_queries_min_type": "EXCEPTION_BEFORE_START",
    "log_queries_min_query_duration_ms": "0",
    "log_queries_probability": "1",
}


def write_engine_files(folder: Path, *, query_secs: int, memory_bytes: int, result_bytes: int) -> Path:
    """Write the engine's configuration into a folder and return the file to start with."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    users = folder / "users.xml"
    users.write_text(_users(query_secs=query_secs, memory_bytes=memory_bytes, result_bytes=result_bytes))
    server = folder / "config.xml"
    server.write_text(
        "<clickhouse>"
        f"<user_directories><users_xml><path>{_escaped(str(users))}</path></users_xml></user_directories>"
        f"<max_server_memory_usage>{2 * memory_bytes}</max_server_memory_usage>"
        "<query_log><database>system</database><table>query_log</table>"
        f"<engine>ENGINE = Memory SETTINGS max_rows_to_keep = {_LOGGED_ERRORS}</engine></query_log>"
        "<max_thread_pool_free_size>16</max_thread_pool_free_size>"
        "<mark_cache_size>67108864</mark_cache_size>"
        "<uncompressed_cache_size>0</uncompressed_cache_size>"
        "<index_mark_cache_size>16777216</index_mark_cache_size>"
        "<mmap_cache_size>100</mmap_cache_size>"
        "<compiled_expression_cache_size>33554432</compiled_expression_cache_size>"
        "<background_pool_size>2</background_pool_size>"
        "<background_merges_mutations_concurrency_ratio>2</background_merges_mutations_concurrency_ratio>"
        "<background_schedule_pool_size>4</background_schedule_pool_size>"
        "<background_common_pool_size>2</background_common_pool_size>"
        "<background_fetches_pool_size>1</background_fetches_pool_size>"
        "<background_move_pool_size>1</background_move_pool_size>"
        "</clickhouse>"
    )
    return server


def _users(*, query_secs: int, memory_bytes: int, result_bytes: int) -> str:
    bounds = {
        "max_execution_time": query_secs,
        "max_memory_usage": memory_bytes,
        "max_result_bytes": result_bytes,
    }
    settings = _PASSIVE | {name: str(value) for name, value in bounds.items()}
    values = "".join(f"<{name}>{value}</{name}>" for name, value in settings.items())
    constant = "".join(f"<{name}><const/></{name}>" for name in _CONSTANT)
    bounded = "".join(f"<{name}><min>1</min><max>{value}</max></{name}>" for name, value in bounds.items())
    revoked = [f"REVOKE {_CHANGE} ON {database}.*" for database in _PROTECTED]
    revoked.append("REVOKE DROP DATABASE ON default.*")
    changing = [
        f"GRANT {_READ}, {_CHANGE}, CREATE TEMPORARY TABLE, CREATE ARBITRARY TEMPORARY TABLE ON *.*",
        "GRANT SET DEFINER ON *",
        "GRANT TABLE ENGINE ON *",
    ]
    roles = {
        # Some table functions (zeros, generateRandom) ask for the right to temporary tables.
        "reader": [f"GRANT {_READ}, CREATE TEMPORARY TABLE ON *.*"],
        "writer": [*changing, *revoked, f"REVOKE {_CHANGE} ON {HOME_DATABASE}.*"],
        "pipeline": [*changing, *revoked],
        "steward": ["GRANT CREATE DATABASE, DROP DATABASE, KILL QUERY, SYSTEM FLUSH LOGS, SELECT, SHOW ON *.*"],
    }
    granted = "".join(f"<{role}><grants>{_queries(queries)}</grants></{role}>" for role, queries in roles.items())
    own = _queries([f"GRANT {', '.join(roles)}"])
    return (
        f"<clickhouse><profiles><default>{values}<constraints>{constant}{bounded}</constraints></default></profiles>"
        f"<roles>{granted}</roles><users><default><password></password><networks><ip>::/0</ip></networks>"
        f"<profile>default</profile><quota>default</quota><grants>{own}</grants></default></users>"
        "<quotas><default></default></quotas></clickhouse>"
    )


def _queries(queries: list[str]) -> str:
    return "".join(f"<query>{query}</query>" for query in queries)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
