/* echo, with the time in front: the container runtime's own time of a line is when it read it. */
#include <stdio.h>
#include <time.h>

int main(int argc, char **argv) {
    struct timespec now;
    char seconds[32];
    clock_gettime(CLOCK_REALTIME, &now);
    strftime(seconds, sizeof seconds, "%FT%T", gmtime(&now.tv_sec));
    printf("%s.%09ldZ", seconds, now.tv_nsec);
    for (int i = 1; i < argc; i++) printf(" %s", argv[i]);
    puts("");
    return 0;
}
