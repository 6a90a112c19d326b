/* Modbus TCP servers on consecutive ports of loopback, for load: 1,000 holding registers each, changed at every read.
 *
 *   modbus_server FIRST_PORT COUNT        prints "ready"; ends when standard input is closed
 *
 * One process, one poll loop, one connection at a time per port, as many PLCs have it.
 */
#include <errno.h>
#include <modbus.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define REGISTERS 1000
#define MOST 64

typedef struct {
    modbus_t *context;
    modbus_mapping_t *map;
    int listener, client;
} server;

static uint32_t seed = 2463534242u;

static uint32_t noise(void) { /* xorshift32, Marsaglia 2003 */
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed;
}

static void change(modbus_mapping_t *map) {
    /* Sum of four uniforms: near enough to normal for a detector, cheap enough not to be the limit. */
    for (int i = 0; i < REGISTERS; i++) {
        uint32_t a = noise(), b = noise();
        map->tab_registers[i] = 1000 + (a & 63) + (a >> 16 & 63) + (b & 63) + (b >> 16 & 63);
    }
}

int main(int argc, char **argv) {
    int first = argc > 1 ? atoi(argv[1]) : 0, count = argc > 2 ? atoi(argv[2]) : 0;
    if (first < 1024 || count < 1 || count > MOST) {
        fprintf(stderr, "usage: modbus_server FIRST_PORT COUNT\n");
        return 2;
    }
    server servers[MOST];
    struct pollfd polled[MOST * 2 + 1];
    for (int i = 0; i < count; i++) {
        server *s = &servers[i];
        s->context = modbus_new_tcp("127.0.0.1", first + i);
        s->map = modbus_mapping_new(0, 0, REGISTERS, 0);
        s->client = -1;
        s->listener = modbus_tcp_listen(s->context, 1);
        if (s->listener < 0) {
            fprintf(stderr, "port %d: %s\n", first + i, modbus_strerror(errno));
            return 1;
        }
        change(s->map);
    }
    puts("ready");
    fflush(stdout);
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    for (;;) {
        polled[0] = (struct pollfd){.fd = 0, .events = POLLIN};
        for (int i = 0; i < count; i++) {
            polled[1 + 2 * i] = (struct pollfd){.fd = servers[i].client < 0 ? servers[i].listener : -1, .events = POLLIN};
            polled[2 + 2 * i] = (struct pollfd){.fd = servers[i].client, .events = POLLIN};
        }
        if (poll(polled, 1 + 2 * count, -1) < 0) return 1;
        if (polled[0].revents && getchar() == EOF) return 0;
        for (int i = 0; i < count; i++) {
            server *s = &servers[i];
            if (polled[1 + 2 * i].revents & POLLIN) s->client = modbus_tcp_accept(s->context, &s->listener);
            if (polled[2 + 2 * i].revents) {
                int length = modbus_receive(s->context, query);
                if (length > 0) {
                    if (query[length - 4] == 0 && query[length - 3] == 0) change(s->map); /* a poll begins at register 0 */
                    modbus_reply(s->context, query, length, s->map);
                } else if (length < 0) {
                    close(s->client);
                    s->client = -1;
                }
            }
        }
    }
}
