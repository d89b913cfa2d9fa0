"""What a client's statement may use. Everything is allowed by list, but for scalar functions and settings.

ClickHouse has 1,885 functions and 1,857 settings, and clients use many of them: there the few that reach out of the
engine are refused by name.
"""

import re
from typing import Final

HOME_DATABASE: Final = "headrace"
SYSTEM_DATABASES: Final = frozenset({"system", "information_schema"})

READS: Final = frozenset(
    {
        "SelectWithUnionQuery",
        "SelectIntersectExceptQuery",
        "SelectQuery",
        "Explain",
        "ShowTables",
        "ShowColumns",
        "ShowIndexes",
        "ShowFunctions",
        "ShowSetting",
        "ShowEngineQuery",
        "ShowProcesslistQuery",
        "ShowCreateTableQuery",
        "ShowCreateViewQuery",
        "ShowCreateDatabaseQuery",
        "DescribeQuery",
        "ExistsTableQuery",
        "ExistsViewQuery",
        "ExistsDatabaseQuery",
        "ExistsTemporaryTableQuery",
        "CheckQuery",
    }
)
SESSION: Final = frozenset({"Set", "UseQuery"})
WRITES: Final = frozenset(
    {
        "InsertQuery",
        "CreateQuery",
        "DropQuery",
        "TruncateQuery",
        "UndropQuery",
        "AlterQuery",
        "DeleteQuery",
        "UpdateQuery",
        "Rename",
        "OptimizeQuery",
        "CreateIndexQuery",
        "DropIndexQuery",
    }
)
NESTED: Final = READS | WRITES | {"TablesInSelectQuery", "ProjectionSelectQuery"}
CREATES: Final = re.compile(
    r"(?:CREATE(?: OR REPLACE)?|REPLACE)(?: TEMPORARY)? (?:TABLE|VIEW|MATERIALIZED VIEW|DATABASE)\b"
)
ALTERS: Final = frozenset(
    {
        "ADD_COLUMN",
        "DROP_COLUMN",
        "MODIFY_COLUMN",
        "COMMENT_COLUMN",
        "RENAME_COLUMN",
        "MATERIALIZE_COLUMN",
        "COMMENT_TABLE",
        "MODIFY_COMMENT",
        "MODIFY_DATABASE_COMMENT",
        "MODIFY_ORDER_BY",
        "MODIFY_SAMPLE_BY",
        "MODIFY_TTL",
        "REMOVE_TTL",
        "MATERIALIZE_TTL",
        "MODIFY_SETTING",
        "RESET_SETTING",
        "MODIFY_QUERY",
        "ADD_INDEX",
        "DROP_INDEX",
        "MATERIALIZE_INDEX",
        "ADD_CONSTRAINT",
        "DROP_CONSTRAINT",
        "ADD_PROJECTION",
        "DROP_PROJECTION",
        "MATERIALIZE_PROJECTION",
        "ADD_STATISTICS",
        "DROP_STATISTICS",
        "MATERIALIZE_STATISTICS",
        "DELETE",
        "UPDATE",
        "DROP_PARTITION",
        "REPLACE_PARTITION",
    }
)

TABLE_FUNCTIONS: Final = frozenset(
    {
        "numbers",
        "numbers_mt",
        "zeros",
        "zeros_mt",
        "primes",
        "generate_series",
        "generateseries",
        "generaterandom",
        "values",
        "sqlstandardvalues",
        "null",
        "view",
        "viewexplain",
        "merge",
        "mergetreeindex",
        "mergetreeprojection",
    }
)
# Not Buffer: it writes on with nobody's rights, so it would carry rows into any database.
TABLE_ENGINES: Final = frozenset(
    {
        "mergetree",
        "replacingmergetree",
        "summingmergetree",
        "aggregatingmergetree",
        "collapsingmergetree",
        "coalescingmergetree",
        "versionedcollapsingmergetree",
        "memory",
        "log",
        "stripelog",
        "tinylog",
        "null",
        "join",
        "set",
        "merge",
    }
)
DATABASE_ENGINES: Final = frozenset({"atomic"})

# Table functions whose name is also that of a harmless function, aggregate or keyword.
SHARED_NAMES: Final = frozenset({"format"})
# Files, programs, models, other hosts, other sessions, the program's own memory; `disk` opens a folder as storage.
SCALAR_FUNCTIONS: Final = frozenset(
    {
        "file",
        "executable",
        "python",
        "url",
        "s3",
        "catboostevaluate",
        "evalmlmethod",
        "reversednsquery",
        "hascolumnintable",
        "getserverport",
        "getserversetting",
        "getclienthttpheader",
        "getmacro",
        "addresstoline",
        "addresstolinewithinlines",
        "addresstosymbol",
        "demangle",
        "formatqueryfromjson",
        "disk",
        "filesystemavailable",
        "filesystemcapacity",
        "filesystemunreserved",
        "showcertificate",
        "generateserialid",
    }
)
SCALAR_PREFIXES: Final = re.compile(
    r"ai(?:redact|similarity|filter|classify|embed|extract|generate|translate)|dict(?:get|has|isin)"
)

# Functions that take values only: in them a bare name is a column, never a function.
COLUMN_FUNCTIONS: Final = frozenset(
    (
        "equals notequals less lessorequals greater greaterorequals like notlike ilike notilike match in notin "
        "globalin globalnotin and or not xor isnull isnotnull empty notempty if multiif ifnull nullif coalesce "
        "assumenotnull tonullable cast _cast tostring tolowcardinality lower upper lowerutf8 upperutf8 length "
        "lengthutf8 concat "
        "concatwithseparator substring left right position startswith endswith replaceall replaceone "
        "replaceregexpall extract splitbychar splitbystring trimboth trimleft trimright basename hex unhex "
        "cityhash64 siphash64 xxhash64 tuple array lambda count countif uniq uniqif uniqexact uniqcombined uniqhll12 "
        "any anyif anylast min minif max maxif grouparray groupuniqarray argmin argmax topk"
    ).split()
)

# They cut or lengthen the result of every statement on a handle, ours among them: not for a session to keep.
SHAPES: Final = frozenset({"limit", "offset", "page", "extremes"})

# `select`, `filter` and their like are settings too: they add an expression to every query. Paths read or write files.
SETTINGS: Final = re.compile(
    r"""(?:.*_)?dialect|dialect_.*|allow_introspection_functions|allow_ddl|implicit_.*|select|order|sort|filter|format
    |input_format|output_format|compression|database|additional_.*|parallel_replicas_custom_key.*|.*_for_parallel_replicas
    |format_schema.*|output_format_schema|format_template_.*|.*_path|.*_url|url_base|s3_.*|s3queue_.*|azure_.*|hdfs_.*
    |iceberg_.*|delta_.*|paimon_.*|ai_.*|allow_experimental_ai.*|.*python.*|.*_udf.*|webassembly_.*|http_allow_.*
    |http_response_headers|framing_output_format|log_comment|workload|profile|input_format_values_(?:interpret|deduce).*
    |rename_files_.*|into_outfile_.*|default_(?:temporary_)?table_engine|default_.*(?:definer|sql_security).*
    |allow_experimental_database_.*|jemalloc_.*|query_profiler_.*|memory_profiler_.*|trace_.*|send_logs_.*
    |backup_.*|restore_.*|promql_.*|stream_like_.*|storage_file_.*|engine_file_.*|engine_url_.*|distributed_.*
    |disk|storage_policy|table_disk|http_max_tries|http_.*_timeout|max_query_size|max_parser_.*|chdb_.*|role""".replace(
        "\n", ""
    ).replace(" ", "")
)
