/* The least that a wrapper can do after its command: a plain child, waitpid,
 * one connection, one write. What no wrapper undercuts on this machine.
 * Usage: bare --shutdown-http-post=http://127.0.0.1:PORT/PATH -- COMMAND [ARG]... */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
    int port, status;
    char path[256], request[512];
    if (argc < 4 || sscanf(argv[1], "--shutdown-http-post=http://127.0.0.1:%d%255s", &port, path) != 2) return 2;
    int length = snprintf(request, sizeof request,
                          "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n", path);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    pid_t child = vfork();
    if (child == 0) {
        execvp(argv[3], argv + 3);
        _exit(127);
    }
    if (waitpid(child, &status, 0) != child) return 125;
    int connection = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(connection, (struct sockaddr *)&address, sizeof address) != 0) return 1;
    if (write(connection, request, length) != length) return 1;
    /* Until it is answered, or the connection would be reset. */
    read(connection, request, sizeof request);
    return 0;
}
