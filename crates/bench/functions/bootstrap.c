/* An echo function for `provided` runtimes: a minimal client of the Runtime API
 * over one kept connection. It stands in where no other compiled function is
 * given; it answers every event with itself and trusts its server. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MESSAGE_BYTES_MAX = 8 * 1024 * 1024, HEAD_BYTES_MAX = 16 * 1024 };

static char message[MESSAGE_BYTES_MAX];
static char answer[MESSAGE_BYTES_MAX + HEAD_BYTES_MAX];

struct received {
    char *body;
    size_t body_bytes;
};

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void send_all(int connection, const char *bytes, size_t left) {
    while (left > 0) {
        ssize_t sent = write(connection, bytes, left);
        if (sent <= 0)
            fail("write to the Runtime API");
        bytes += sent;
        left -= (size_t)sent;
    }
}

/* The value of a header, or NULL; names are given in lower case with a colon. */
static char *header(char *head, const char *name) {
    for (char *line = strstr(head, "\r\n"); line && line[2] != '\r'; line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, strlen(name)) == 0) {
            char *value = line + 2 + strlen(name);
            while (*value == ' ')
                value++;
            return value;
        }
    }
    return NULL;
}

static struct received receive(int connection) {
    size_t have = 0, wanted = 0;
    char *body = NULL;
    while (body == NULL || have < wanted) {
        if (have + 1 >= MESSAGE_BYTES_MAX)
            exit(2);
        ssize_t got = read(connection, message + have, MESSAGE_BYTES_MAX - 1 - have);
        if (got == 0)
            exit(0);
        if (got < 0)
            fail("read from the Runtime API");
        have += (size_t)got;
        message[have] = 0;
        char *end = body ? NULL : strstr(message, "\r\n\r\n");
        if (end) {
            char *length = header(message, "content-length:");
            body = end + 4;
            wanted = (size_t)(body - message) + (length ? strtoul(length, NULL, 10) : 0);
        }
    }
    return (struct received){body, wanted - (size_t)(body - message)};
}

static int dial(const char *api) {
    char host[64];
    const char *colon = strchr(api, ':');
    if (!colon || (size_t)(colon - api) >= sizeof host)
        exit(2);
    memcpy(host, api, (size_t)(colon - api));
    host[colon - api] = 0;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(colon + 1))};
    int connection = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
        exit(2);
    if (connect(connection, (struct sockaddr *)&address, sizeof address) != 0)
        fail("connect to the Runtime API");
    setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return connection;
}

int main(void) {
    const char *api = getenv("AWS_LAMBDA_RUNTIME_API");
    if (!api)
        return 2;
    int connection = dial(api);
    char next[256];
    int next_bytes = snprintf(next, sizeof next,
                              "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: %s\r\n\r\n", api);
    for (;;) {
        send_all(connection, next, (size_t)next_bytes);
        struct received event = receive(connection);
        char *id = header(message, "lambda-runtime-aws-request-id:");
        if (!id)
            return 2;
        int id_bytes = (int)strcspn(id, "\r");
        int head = snprintf(answer, HEAD_BYTES_MAX,
                            "POST /2018-06-01/runtime/invocation/%.*s/response HTTP/1.1\r\nHost: %s\r\n"
                            "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                            id_bytes, id, api, event.body_bytes);
        memcpy(answer + head, event.body, event.body_bytes);
        send_all(connection, answer, (size_t)head + event.body_bytes);
        receive(connection);
    }
}
