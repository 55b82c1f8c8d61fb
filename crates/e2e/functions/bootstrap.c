/* A function without any runtime: speaks the Runtime API over one socket per
   request and answers {"echo":EVENT,"pid":N}. The end-to-end suite links it
   statically and deploys it as `bootstrap`. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define CAP (1 << 20)

static char answer[CAP];

static size_t call(const char *request, size_t length) {
    char host[64];
    snprintf(host, sizeof host, "%s", getenv("AWS_LAMBDA_RUNTIME_API"));
    char *colon = strrchr(host, ':');
    if (!colon) exit(2);
    *colon = 0;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(colon + 1))};
    if (inet_pton(AF_INET, host, &to.sin_addr) != 1) exit(3);
    int s = socket(AF_INET, SOCK_STREAM, 0);
    if (s < 0 || connect(s, (struct sockaddr *)&to, sizeof to) != 0) exit(4);
    for (size_t sent = 0; sent < length;) {
        ssize_t n = write(s, request + sent, length - sent);
        if (n <= 0) exit(5);
        sent += (size_t)n;
    }
    size_t got = 0;
    for (ssize_t n; (n = read(s, answer + got, CAP - 1 - got)) > 0;) got += (size_t)n;
    close(s);
    answer[got] = 0;
    return got;
}

int main(void) {
    const char *next = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n"
                       "Host: runtime\r\nConnection: close\r\n\r\n";
    static char reply[CAP + 512], body[CAP + 64];
    for (;;) {
        call(next, strlen(next));
        char *event = strstr(answer, "\r\n\r\n");
        char *id = strcasestr(answer, "\r\nlambda-runtime-aws-request-id:");
        if (!event || !id) exit(6);
        *event = 0;
        event += 4;
        id += strlen("\r\nlambda-runtime-aws-request-id:");
        while (*id == ' ') id++;
        id[strcspn(id, "\r\n")] = 0;
        int size = snprintf(body, sizeof body, "{\"echo\":%s,\"pid\":%d}", event, getpid());
        int length = snprintf(reply, sizeof reply,
                              "POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\n"
                              "Host: runtime\r\nConnection: close\r\n"
                              "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                              id, size, body);
        call(reply, (size_t)length);
    }
}
