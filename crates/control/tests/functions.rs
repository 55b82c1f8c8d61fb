//! Functions are created, read, listed and deleted as AWS does it: statuses, headers,
//! bodies and texts, as a client sees them after the frontend.

mod stage;

use serde_json::{Value, json};
use stage::{
    ACCOUNT, FUNCTIONS, ORIGIN, ROLE, Stage, function, function_with, path, zip, zip_base64,
};

const ARN: &str = "arn:aws:lambda:us-east-1:123456789012:function:f";

#[tokio::test]
async fn a_new_function_is_shown_as_aws_shows_it() {
    let stage = Stage::new();
    let mut created = stage.create("f").await;
    let revision = created["RevisionId"].take();
    assert_eq!(revision.as_str().unwrap().len(), 36);
    let runtime = created["RuntimeVersionConfig"].take();
    assert!(
        runtime["RuntimeVersionArn"]
            .as_str()
            .unwrap()
            .starts_with("arn:aws:lambda:us-east-1::runtime:")
    );
    let modified = created["LastModified"].take();
    assert!(modified.as_str().unwrap().starts_with("2026-11-21T12:00:0"), "{modified}");
    assert!(modified.as_str().unwrap().ends_with("+0000"), "{modified}");
    let size = zip("one").len();
    let sha = created["CodeSha256"].take();
    assert_eq!(sha.as_str().unwrap().len(), 44);
    assert_eq!(
        created,
        json!({
            "FunctionName": "f", "FunctionArn": ARN, "Runtime": "python3.12", "Role": ROLE,
            "Handler": "app.handler", "CodeSize": size, "Description": "", "Timeout": 3,
            "MemorySize": 128, "LastModified": null,
            "CodeSha256": null, "Version": "$LATEST", "TracingConfig": {"Mode": "PassThrough"},
            "RevisionId": null, "State": "Active", "LastUpdateStatus": "Successful",
            "PackageType": "Zip", "Architectures": ["x86_64"], "EphemeralStorage": {"Size": 512},
            "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
            "RuntimeVersionConfig": null,
            "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/aws/lambda/f"},
        })
    );
    let read = stage.get(&path("f", "/configuration")).await.expect(200);
    assert_eq!(read["RevisionId"], revision);
    let qualified = stage.get(&path("f", "/configuration?Qualifier=%24LATEST")).await.expect(200);
    assert_eq!(qualified["FunctionArn"], format!("{ARN}:$LATEST"));
}

#[tokio::test]
async fn code_can_be_fetched_by_its_link_without_credentials() {
    let stage = Stage::new();
    let body = function_with("f", json!({"Tags": {"a": "b"}, "Publish": true}));
    let created = stage.call("POST", FUNCTIONS, body).await.expect(201);
    assert_eq!(created["Version"], "1");
    assert_eq!(created["FunctionArn"], format!("{ARN}:1"));
    for query in ["", "?Qualifier=1"] {
        let got = stage.get(&path("f", query)).await.expect(200);
        assert_eq!(got["Tags"], json!({"a": "b"}));
        assert_eq!(got["Code"]["RepositoryType"], "S3");
        assert!(got.get("Concurrency").is_none());
        let url = got["Code"]["Location"].as_str().unwrap();
        let target = url.strip_prefix(ORIGIN).unwrap();
        let answer = stage.call_bytes("GET", target, None, Vec::new()).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("application/zip"));
        assert_eq!(answer.bytes, zip("one"));
        let forged = target.replace("token=", "token=0");
        let refused = stage.call_bytes("GET", &forged, None, Vec::new()).await;
        refused.refused(403, "AccessDeniedException");
    }
}

#[tokio::test]
async fn what_cannot_be_created_is_refused_with_awss_words() {
    let stage = Stage::new();
    stage.create("taken").await;
    let invalid = "InvalidParameterValueException";
    let cases = [
        (function("taken"), 409, "ResourceConflictException", "Function already exist: taken"),
        (function_with("f", json!({"Role": "r1"})), 400, "ValidationException", "at 'role' failed"),
        (function_with("f", json!({"Runtime": "java21"})), 400, invalid, "java21 is not supported"),
        (function_with("f", json!({"Runtime": null})), 400, invalid, "Runtime and Handler are"),
        (function_with("f", json!({"Handler": null})), 400, invalid, "Runtime and Handler are"),
        (function_with("f", json!({"Code": {}})), 400, invalid, "provide a source"),
        (
            function_with("f", json!({"Code": {"ZipFile": "aGVsbG8="}})),
            400,
            invalid,
            "Could not unzip uploaded file",
        ),
        (function_with("f", json!({"Code": {"ZipFile": ""}})), 400, invalid, "non-empty zip"),
        (
            function_with("f", json!({"Code": {"S3Bucket": "bucket", "S3Key": "k"}})),
            400,
            invalid,
            "S3 is not supported",
        ),
        (
            function_with("f", json!({"Code": {"ImageUri": "i"}})),
            400,
            invalid,
            "ImageUri is not supported",
        ),
        (
            function_with("f", json!({"PackageType": "Image"})),
            400,
            invalid,
            "PackageType Image is not supported",
        ),
        (
            function_with(
                "f",
                json!({"Layers": ["arn:aws:lambda:us-east-1:123456789012:layer:l:1"]}),
            ),
            400,
            invalid,
            "Layers is not supported",
        ),
        (
            function_with("f", json!({"Architectures": ["arm64"]})),
            400,
            invalid,
            "arm64 is not available",
        ),
        (function_with("f", json!({"MemorySize": 127})), 400, "ValidationException", "memorySize"),
        (function_with("f", json!({"MemorySize": 10_241})), 400, invalid, "equal to 10240"),
        (function_with("f", json!({"Timeout": 901})), 400, invalid, "equal to 900"),
        (
            function_with("f", json!({"EphemeralStorage": {"Size": 10_241}})),
            400,
            invalid,
            "equal to 10240",
        ),
        (
            function_with("f", json!({"Environment": {"Variables": {"AWS_REGION": "x"}}})),
            400,
            invalid,
            "Reserved keys used in this request: AWS_REGION",
        ),
        (
            function_with("f", json!({"Environment": {"Variables": {"K1": "x".repeat(4096)}}})),
            400,
            invalid,
            "exceeded the 4KB limit",
        ),
        (function_with("f:1", json!({})), 400, invalid, "qualifier"),
        (
            function_with("999999999999:function:f", json!({})),
            403,
            "AccessDeniedException",
            "not authorized to perform: lambda:CreateFunction",
        ),
    ];
    for (body, status, exception, words) in cases {
        let message = stage.call("POST", FUNCTIONS, body).await.refused(status, exception);
        assert!(message.contains(words), "{message:?} lacks {words:?}");
    }
    let listed = stage.get(&format!("{FUNCTIONS}/")).await.expect(200);
    assert_eq!(listed["Functions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn everything_given_is_shown_again() {
    let stage = Stage::new();
    let given = json!({
        "Description": "d", "MemorySize": 10_240, "Timeout": 900,
        "EphemeralStorage": {"Size": 10_240}, "Environment": {"Variables": {"KEY": "v"}},
        "DeadLetterConfig": {"TargetArn": "arn:aws:sqs:us-east-1:123456789012:q"},
        "TracingConfig": {"Mode": "Active"},
        "KMSKeyArn": "arn:aws:kms:us-east-1:123456789012:key/k",
    });
    let mut more = given.clone();
    more["VpcConfig"] = json!({"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]});
    more["SnapStart"] = json!({"ApplyOn": "PublishedVersions"});
    more["LoggingConfig"] = json!({"LogFormat": "JSON", "SystemLogLevel": "WARN"});
    more["Tags"] = json!({"a": "b"});
    stage.call("POST", FUNCTIONS, function_with("f", more)).await.expect(201);
    let shown = stage.get(&path("f", "/configuration")).await.expect(200);
    for (key, value) in given.as_object().unwrap() {
        assert_eq!(shown[key], *value, "{key}");
    }
    let vpc = json!({"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"], "VpcId": ""});
    assert_eq!(shown["VpcConfig"], vpc);
    let snap_start = json!({"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"});
    assert_eq!(shown["SnapStart"], snap_start);
    let logging = json!({
        "LogFormat": "JSON", "ApplicationLogLevel": "INFO", "SystemLogLevel": "WARN",
        "LogGroup": "/aws/lambda/f",
    });
    assert_eq!(shown["LoggingConfig"], logging);
}

#[tokio::test]
async fn a_missing_function_is_not_found_by_its_arn() {
    let stage = Stage::new();
    let cases = [
        ("GET", path("f", ""), Value::Null),
        ("GET", path("f", "/configuration"), Value::Null),
        ("PUT", path("f", "/code"), json!({"ZipFile": zip_base64("x")})),
        ("PUT", path("f", "/configuration"), json!({"Timeout": 1})),
        ("DELETE", path("f", ""), Value::Null),
        ("POST", path("f", "/versions"), json!({})),
        ("GET", path("f", "/versions"), Value::Null),
        (
            "PUT",
            "/2017-10-31/functions/f/concurrency".into(),
            json!({"ReservedConcurrentExecutions": 1}),
        ),
        ("GET", "/2019-09-30/functions/f/concurrency".into(), Value::Null),
        ("DELETE", "/2017-10-31/functions/f/concurrency".into(), Value::Null),
        ("GET", path("f", "/policy"), Value::Null),
    ];
    for (method, target, body) in cases {
        let answer = stage.call(method, &target, body).await;
        let message = answer.refused(404, "ResourceNotFoundException");
        assert_eq!(message, format!("Function not found: {ARN}"), "{method} {target}");
    }
    stage.create("f").await;
    let answer = stage.get(&path("f", "?Qualifier=7")).await;
    let message = answer.refused(404, "ResourceNotFoundException");
    assert_eq!(message, format!("Function not found: {ARN}:7"));
}

#[tokio::test]
async fn unknown_and_not_offered_operations_say_so() {
    let stage = Stage::new();
    let answer = stage.get("/2015-03-31/nothing").await;
    assert_eq!(answer.refused(404, "UnknownOperationException"), "Unknown operation.");
    let answer = stage.call("POST", &path("f", "/aliases"), json!({})).await;
    let message = answer.refused(404, "UnknownOperationException");
    assert!(message.contains("CreateAlias is not offered"), "{message}");
    let answer = stage.call_bytes("GET", FUNCTIONS, None, Vec::new()).await;
    answer.refused(403, "MissingAuthenticationTokenException");
    let answer = stage.call_bytes("POST", FUNCTIONS, Some(ACCOUNT), b"{".to_vec()).await;
    answer.refused(400, "SerializationException");
}

#[tokio::test]
async fn deletion_takes_everything_and_happens_once() {
    let stage = Stage::new();
    let body = function_with("f", json!({"Publish": true}));
    stage.call("POST", FUNCTIONS, body).await.expect(201);
    let answer = stage.delete(&path("f", "?Qualifier=%24LATEST")).await;
    answer.refused(400, "InvalidParameterValueException");
    // A version that is not there is deleted already.
    stage.delete(&path("f", "?Qualifier=9")).await.expect(204);
    stage.delete(&path("f", "?Qualifier=1")).await.expect(204);
    stage.get(&path("f", "?Qualifier=1")).await.refused(404, "ResourceNotFoundException");
    stage.get(&path("f", "")).await.expect(200);
    let answer = stage.delete(&path("f", "")).await;
    assert!(answer.bytes.is_empty());
    answer.expect(204);
    stage.delete(&path("f", "")).await.refused(404, "ResourceNotFoundException");
    let page = stage.store.list(&store::schema::functions(), None, 10).await.unwrap();
    assert_eq!(page.entries, Vec::new());
}

#[tokio::test]
async fn lists_come_in_pages_and_miss_nothing() {
    let stage = Stage::new();
    for number in 0..7 {
        stage.create(&format!("f{number}")).await;
    }
    stage.call("POST", &path("f3", "/versions"), json!({})).await.expect(201);
    let cases = [("", 7, 3), ("&FunctionVersion=ALL", 8, 3)];
    for (query, total, pages) in cases {
        let mut seen = Vec::new();
        let mut marker = String::new();
        let mut count = 0;
        loop {
            let target = format!("{FUNCTIONS}/?MaxItems=3&Marker={marker}{query}");
            let page = stage.get(&target).await.expect(200);
            for item in page["Functions"].as_array().unwrap() {
                assert!(item.get("State").is_none(), "listings have no state");
                seen.push(item["FunctionArn"].as_str().unwrap().to_owned());
            }
            count += 1;
            match page["NextMarker"].as_str() {
                Some(next) => marker = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(count, pages, "{query}");
        assert_eq!(seen.len(), total, "{query}");
        let mut sorted = seen.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), total, "{query}");
    }
    let answer = stage.get(&format!("{FUNCTIONS}?Marker=nonsense")).await;
    answer.refused(400, "InvalidParameterValueException");
    let answer = stage.get(&format!("{FUNCTIONS}?MaxItems=0")).await;
    answer.refused(400, "ValidationException");
    let other = stage.call_bytes("GET", FUNCTIONS, Some("999999999999"), Vec::new()).await;
    assert_eq!(other.expect(200)["Functions"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_or_is_too_long_is_given_up() {
    let stage = Stage::new();
    let (sender, body) = platform::Body::channel();
    let answer = stage.call_body("POST", FUNCTIONS, Some(ACCOUNT), body).await;
    answer.refused(408, "RequestTimeoutException");
    drop(sender);

    let (sender, body) = platform::Body::channel();
    let chunk = bytes::Bytes::from(vec![b' '; 8 << 20]);
    let send = async move {
        for _ in 0..10 {
            // The reader goes away once it has had too much.
            if sender.send(Ok(chunk.clone())).await.is_err() {
                break;
            }
        }
    };
    let call = stage.call_body("POST", FUNCTIONS, Some(ACCOUNT), body);
    let (answer, ()) = tokio::join!(call, send);
    let message = answer.refused(413, "RequestEntityTooLargeException");
    assert!(message.contains("70167211"), "{message}");
}
