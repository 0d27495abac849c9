/* A library to load and unload. NAME is that of its function. */
int NAME(int (*then)(void));

__attribute__((noinline)) int NAME(int (*then)(void))
{
    volatile int frame[6] = {0};
    frame[1] = then() + 1;
    return frame[1];
}
