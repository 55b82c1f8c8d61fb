//! Generated from the published service model of Lambda (2015-03-31).
//! Not written by hand: `cargo run -p xtask -- codegen MODEL` makes it anew.

use crate::validate::{Double, Integer, Length, Matcher, Pattern, Text};

pub static ACCELERATOR_MEMORY_GB: Integer = Integer { min: None, max: None };
pub static ARCHITECTURES_LIST: Length = Length { min: Some(1), max: Some(1) };
pub static CAPACITY_PROVIDER_ARN: Text = Text {
    min: Some(1),
    max: Some(140),
    pattern: Some(Pattern {
        shown: r"arn:aws[a-zA-Z-]*:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:capacity-provider:[a-zA-Z0-9-_]+",
        matcher: Matcher::regex(
            r"arn:aws[a-zA-Z-]*:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:capacity-provider:[a-zA-Z0-9-_]+",
        ),
    }),
};
pub static CODE_SIGNING_CONFIG_ARN: Text = Text {
    min: Some(0),
    max: Some(200),
    pattern: Some(Pattern {
        shown: r"arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:code-signing-config:csc-[a-z0-9]{17}",
        matcher: Matcher::regex(
            r"arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:code-signing-config:csc-[a-z0-9]{17}",
        ),
    }),
};
pub static DESCRIPTION: Text = Text { min: Some(0), max: Some(256), pattern: None };
pub static DURABLE_EXECUTION_NAME: Text = Text {
    min: Some(1),
    max: Some(64),
    pattern: Some(Pattern { shown: "[a-zA-Z0-9-_]+", matcher: Matcher::regex("[a-zA-Z0-9-_]+") }),
};
pub static ENVIRONMENT_VARIABLE_NAME: Text = Text {
    min: None,
    max: None,
    pattern: Some(Pattern {
        shown: "[a-zA-Z]([a-zA-Z0-9_])+",
        matcher: Matcher::regex("[a-zA-Z]([a-zA-Z0-9_])+"),
    }),
};
pub static ENVIRONMENT_VARIABLE_VALUE: Text = Text { min: None, max: None, pattern: None };
pub static EPHEMERAL_STORAGE_SIZE: Integer = Integer { min: Some(512), max: Some(32768) };
pub static EXECUTION_ENVIRONMENT_MEMORY_GIB_PER_VCPU: Double =
    Double { min: Some(2.0), max: Some(8.0) };
pub static EXECUTION_TIMEOUT: Integer = Integer { min: Some(1), max: Some(31622400) };
pub static FILE_SYSTEM_ARN: Text = Text {
    min: Some(0),
    max: Some(256),
    pattern: Some(Pattern {
        shown: r"arn:aws[a-zA-Z-]*:elasticfilesystem:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:access-point/fsap-[a-f0-9]{17}$|^arn:aws[-a-z]*:s3files:[0-9a-z-:]+:file-system/fs-[0-9a-f]{17,40}/access-point/fsap-[0-9a-f]{17,40}",
        matcher: Matcher::regex(
            r"arn:aws[a-zA-Z-]*:elasticfilesystem:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:access-point/fsap-[a-f0-9]{17}$|^arn:aws[-a-z]*:s3files:[0-9a-z-:]+:file-system/fs-[0-9a-f]{17,40}/access-point/fsap-[0-9a-f]{17,40}",
        ),
    }),
};
pub static FILE_SYSTEM_CONFIG_LIST: Length = Length { min: Some(0), max: Some(1) };
pub static FUNCTION_NAME: Text = Text {
    min: Some(1),
    max: Some(140),
    pattern: Some(Pattern {
        shown: r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?",
        matcher: Matcher::regex(
            r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?",
        ),
    }),
};
pub static FUNCTION_RUNTIME_ALIAS: Text = Text { min: Some(1), max: Some(128), pattern: None };
pub static FUNCTION_RUNTIME_ARN: Text = Text {
    min: Some(48),
    max: Some(2048),
    pattern: Some(Pattern {
        shown: r"arn:[a-z-]+:lambda:[a-z0-9-]+:\d{12}:runtime/.+",
        matcher: Matcher::regex(r"arn:[a-z-]+:lambda:[a-z0-9-]+:\d{12}:runtime/.+"),
    }),
};
pub static HANDLER: Text = Text {
    min: Some(0),
    max: Some(128),
    pattern: Some(Pattern { shown: r"[^\s]+", matcher: Matcher::regex(r"[^\s]+") }),
};
pub static KMS_KEY_ARN: Text = Text {
    min: Some(0),
    max: Some(10000),
    pattern: Some(Pattern {
        shown: "(arn:(aws[a-zA-Z-]*)?:[a-z0-9-.]+:.*)|()",
        matcher: Matcher::regex("(arn:(aws[a-zA-Z-]*)?:[a-z0-9-.]+:.*)|()"),
    }),
};
pub static LAYER_LIST: Length = Length { min: None, max: None };
pub static LAYER_VERSION_ARN: Text = Text {
    min: Some(1),
    max: Some(2048),
    pattern: Some(Pattern {
        shown: r"((arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:layer:[a-zA-Z0-9-_]+:[0-9]+)|(arn:[a-zA-Z0-9-]+:lambda:::awslayer:[a-zA-Z0-9-_]+))",
        matcher: Matcher::regex(
            r"((arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:layer:[a-zA-Z0-9-_]+:[0-9]+)|(arn:[a-zA-Z0-9-]+:lambda:::awslayer:[a-zA-Z0-9-_]+))",
        ),
    }),
};
pub static LOCAL_MOUNT_PATH: Text = Text {
    min: Some(0),
    max: Some(160),
    pattern: Some(Pattern {
        shown: "/mnt/[a-zA-Z0-9-_.]+",
        matcher: Matcher::regex("/mnt/[a-zA-Z0-9-_.]+"),
    }),
};
pub static LOG_GROUP: Text = Text {
    min: Some(1),
    max: Some(512),
    pattern: Some(Pattern {
        shown: r"[\.\-_/#A-Za-z0-9]+",
        matcher: Matcher::regex(r"[\.\-_/#A-Za-z0-9]+"),
    }),
};
pub static MASTER_REGION: Text = Text {
    min: Some(1),
    max: Some(50),
    pattern: Some(Pattern {
        shown: r"ALL|(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}",
        matcher: Matcher::regex(r"ALL|(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}"),
    }),
};
pub static MAX_LIST_ITEMS: Integer = Integer { min: Some(1), max: Some(10000) };
pub static MAX_PROVISIONED_CONCURRENCY_CONFIG_LIST_ITEMS: Integer =
    Integer { min: Some(1), max: Some(50) };
pub static MEMORY_SIZE: Integer = Integer { min: Some(128), max: Some(32768) };
pub static NAMESPACED_FUNCTION_NAME: Text = Text {
    min: Some(1),
    max: Some(256),
    pattern: Some(Pattern {
        shown: r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_\.]+)(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?",
        matcher: Matcher::regex(
            r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_\.]+)(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?",
        ),
    }),
};
pub static NUMERIC_LATEST_PUBLISHED_OR_ALIAS_QUALIFIER: Text = Text {
    min: Some(1),
    max: Some(128),
    pattern: Some(Pattern {
        shown: r"\$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+",
        matcher: Matcher::regex(r"\$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+"),
    }),
};
pub static PER_EXECUTION_ENVIRONMENT_MAX_CONCURRENCY: Integer =
    Integer { min: Some(1), max: Some(1600) };
pub static POSITIVE_INTEGER: Integer = Integer { min: Some(1), max: None };
pub static QUALIFIER: Text = Text {
    min: Some(1),
    max: Some(128),
    pattern: Some(Pattern {
        shown: "(|[a-zA-Z0-9$_-]+)",
        matcher: Matcher::regex("(|[a-zA-Z0-9$_-]+)"),
    }),
};
pub static RESERVED_CONCURRENT_EXECUTIONS: Integer = Integer { min: Some(0), max: None };
pub static RESOURCE_ARN: Text = Text {
    min: Some(0),
    max: Some(10000),
    pattern: Some(Pattern {
        shown: "(arn:(aws[a-zA-Z-]*)?:[a-z0-9-.]+:.*)|()",
        matcher: Matcher::regex("(arn:(aws[a-zA-Z-]*)?:[a-z0-9-.]+:.*)|()"),
    }),
};
pub static RETENTION_PERIOD_IN_DAYS: Integer = Integer { min: Some(1), max: Some(90) };
pub static ROLE_ARN: Text = Text {
    min: Some(0),
    max: Some(10000),
    pattern: Some(Pattern {
        shown: r"arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+",
        matcher: Matcher::regex(r"arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+"),
    }),
};
pub static S3_BUCKET: Text = Text {
    min: Some(3),
    max: Some(63),
    pattern: Some(Pattern {
        shown: r"[0-9A-Za-z\.\-_]*(?<!\.)",
        matcher: Matcher::regex(r"(?:[0-9A-Za-z\.\-_]*[0-9A-Za-z\-_])?"),
    }),
};
pub static S3_KEY: Text = Text {
    min: Some(1),
    max: Some(1024),
    pattern: Some(Pattern { shown: ".*", matcher: Matcher::Anything }),
};
pub static S3_OBJECT_VERSION: Text = Text {
    min: Some(1),
    max: Some(1024),
    pattern: Some(Pattern { shown: ".*", matcher: Matcher::Anything }),
};
pub static SECURITY_GROUP_ID: Text = Text {
    min: Some(0),
    max: Some(1024),
    pattern: Some(Pattern { shown: "sg-[0-9a-zA-Z]*", matcher: Matcher::regex("sg-[0-9a-zA-Z]*") }),
};
pub static SECURITY_GROUP_IDS: Length = Length { min: Some(0), max: Some(5) };
pub static STRING: Text = Text { min: None, max: None, pattern: None };
pub static STRING_LIST: Length = Length { min: Some(0), max: Some(1500) };
pub static SUBNET_ID: Text = Text {
    min: Some(0),
    max: Some(1024),
    pattern: Some(Pattern {
        shown: "subnet-[0-9a-z]*",
        matcher: Matcher::regex("subnet-[0-9a-z]*"),
    }),
};
pub static SUBNET_IDS: Length = Length { min: Some(0), max: Some(16) };
pub static TAG_KEY: Text = Text {
    min: Some(1),
    max: Some(128),
    pattern: Some(Pattern { shown: r"([\p{L}\p{Z}\p{N}_.:/=+\-@]*)", matcher: Matcher::TagText }),
};
pub static TAG_KEY_LIST: Length = Length { min: None, max: None };
pub static TAG_VALUE: Text = Text {
    min: Some(0),
    max: Some(256),
    pattern: Some(Pattern { shown: r"([\p{L}\p{Z}\p{N}_.:/=+\-@]*)", matcher: Matcher::TagText }),
};
pub static TAGGABLE_RESOURCE: Text = Text {
    min: Some(1),
    max: Some(10000),
    pattern: Some(Pattern {
        shown: r"arn:(aws[a-zA-Z-]*):lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:(function:[a-zA-Z0-9-_]+(:(\$LATEST|[a-zA-Z0-9-_]+))?|code-signing-config:csc-[a-z0-9]{17}|event-source-mapping:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|(capacity-provider|network-connector):[a-zA-Z0-9-_]{1,64})",
        matcher: Matcher::regex(
            r"arn:(aws[a-zA-Z-]*):lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:(function:[a-zA-Z0-9-_]+(:(\$LATEST|[a-zA-Z0-9-_]+))?|code-signing-config:csc-[a-z0-9]{17}|event-source-mapping:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|(capacity-provider|network-connector):[a-zA-Z0-9-_]{1,64})",
        ),
    }),
};
pub static TENANT_ID: Text = Text {
    min: Some(1),
    max: Some(256),
    pattern: Some(Pattern {
        shown: r"[a-zA-Z0-9\._:\/=+\-@ ]+",
        matcher: Matcher::regex(r"[a-zA-Z0-9\._:\/=+\-@ ]+"),
    }),
};
pub static TIMEOUT: Integer = Integer { min: Some(1), max: Some(5400) };
pub static WORKING_DIRECTORY: Text = Text { min: Some(0), max: Some(1000), pattern: None };
