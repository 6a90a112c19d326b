/* A Modbus server by libmodbus, for tests.
 *
 *   modbus_libmodbus tcp PORT
 *   modbus_libmodbus rtu DEVICE UNIT          19200 baud, no parity
 *
 * 200 of each; prints "ready"; "h ADDRESS WORD" on standard input sets a holding register; ends when standard input closes.
 * One client at a time, as many PLCs have it.
 */
#include <modbus.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST 200

int main(int argc, char **argv) {
    int tcp = argc == 3 && !strcmp(argv[1], "tcp"), rtu = argc == 4 && !strcmp(argv[1], "rtu");
    if (!tcp && !rtu) return 2;
    modbus_t *context = tcp ? modbus_new_tcp("127.0.0.1", atoi(argv[2])) : modbus_new_rtu(argv[2], 19200, 'N', 8, 1);
    modbus_mapping_t *map = modbus_mapping_new(MOST, MOST, MOST, MOST);
    int listener = -1, client = -1, length;
    if (rtu && (modbus_set_slave(context, atoi(argv[3])) || modbus_connect(context))) return 1;
    if (tcp && (listener = modbus_tcp_listen(context, 1)) < 0) return 1;
    if (rtu) client = modbus_get_socket(context);
    uint16_t holding[] = {0x424e, 0x0000, 0x4314, 0x0000}; /* 51.5 and 148.0 as float32 */
    memcpy(map->tab_registers + 10, holding, sizeof holding);
    map->tab_input_registers[0] = 3;
    map->tab_bits[0] = 1;
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    char line[64];
    puts("ready");
    fflush(stdout);
    for (;;) {
        struct pollfd polled[2] = {{.fd = 0, .events = POLLIN}, {.fd = client < 0 ? listener : client, .events = POLLIN}};
        if (poll(polled, 2, -1) < 0) return 1;
        if (polled[0].revents) {
            unsigned address, word;
            ssize_t got = read(0, line, sizeof line - 1);
            if (got <= 0) return 0;
            line[got] = 0;
            if (sscanf(line, "h %u %u", &address, &word) == 2 && address < MOST) map->tab_registers[address] = word;
        }
        if (!polled[1].revents) continue;
        if (client < 0) {
            client = modbus_tcp_accept(context, &listener);
        } else if ((length = modbus_receive(context, query)) > 0) {
            modbus_reply(context, query, length, map);
        } else if (length < 0 && tcp) {
            close(client);
            client = -1;
        }
    }
}
