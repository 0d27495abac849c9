/* What the parts of the program of this folder call of each other. */
#ifdef __cplusplus
extern "C" {
#endif
void record(int weight);
void record_inside(const void *function, int offset, int weight);
void work(void);
#ifdef __cplusplus
}
#endif
