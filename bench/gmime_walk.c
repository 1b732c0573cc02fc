/* What bench/mime_walk.py runs beside the walk: GMime parses each message from memory, visits every part, and decodes
 * the content of every leaf into a buffer that is used again.
 *
 *     gmime_walk ROUNDS FILE...       prints: seconds of processor time, parts, decoded octets (of all rounds)
 */

#include <gmime/gmime.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef struct {
    GMimeStream *sink;
    size_t parts, octets;
} Visit;

static void visit(GMimeObject *parent, GMimeObject *part, gpointer data)
{
    Visit *seen = data;
    GMimeObject *inner;
    GMimeDataWrapper *content;
    (void)parent;
    seen->parts++;
    if (GMIME_IS_MESSAGE_PART(part)) {
        GMimeMessage *message = g_mime_message_part_get_message((GMimeMessagePart *)part);
        if (message != NULL && (inner = g_mime_message_get_mime_part(message)) != NULL) {
            visit(NULL, inner, data);
            if (GMIME_IS_MULTIPART(inner))
                g_mime_multipart_foreach((GMimeMultipart *)inner, visit, data);
        }
    } else if (GMIME_IS_PART(part) && (content = g_mime_part_get_content((GMimePart *)part)) != NULL) {
        g_mime_stream_reset(seen->sink);
        seen->octets += (size_t)g_mime_data_wrapper_write_to_stream(content, seen->sink);
    }
}

static void walk(const gchar *data, gsize len, Visit *seen)
{
    GMimeStream *stream = g_mime_stream_mem_new_with_buffer(data, len);
    GMimeParser *parser = g_mime_parser_new_with_stream(stream);
    GMimeMessage *message = g_mime_parser_construct_message(parser, NULL);
    GMimeObject *root = g_mime_message_get_mime_part(message);
    visit(NULL, root, seen);
    if (GMIME_IS_MULTIPART(root))
        g_mime_multipart_foreach((GMimeMultipart *)root, visit, seen);
    g_object_unref(message);
    g_object_unref(parser);
    g_object_unref(stream);
}

int main(int argc, char **argv)
{
    Visit seen = {NULL, 0, 0};
    struct timespec begin, end;
    int rounds, files = argc - 2;
    gchar **data;
    gsize *len;
    if (argc < 3)
        return 2;
    rounds = atoi(argv[1]);
    g_mime_init();
    seen.sink = g_mime_stream_mem_new();
    data = g_new0(gchar *, files);
    len = g_new0(gsize, files);
    for (int i = 0; i < files; i++)
        if (!g_file_get_contents(argv[i + 2], &data[i], &len[i], NULL))
            return 1;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < files; i++)
            walk(data[i], len[i], &seen);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    printf("%.6f %zu %zu\n", (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec),
           seen.parts, seen.octets);
    return 0;
}
