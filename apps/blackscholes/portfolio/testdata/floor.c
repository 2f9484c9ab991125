// What the text format costs a C program: reading options by fscanf, and writing prices by fprintf, as
// PARSEC's program does. It prints the seconds that it took, and to the standard error nothing.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct option {
	float spot, strike, rate, yield, volatility, time, dividends, reference;
	char type;
};

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int scan(const char *path)
{
	FILE *file = fopen(path, "r");
	int count;
	if (!file || fscanf(file, "%i", &count) != 1)
		return 1;
	struct option *options = malloc((size_t)count * sizeof *options);
	if (!options)
		return 1;
	for (int i = 0; i < count; i++) {
		struct option *o = &options[i];
		if (fscanf(file, "%f %f %f %f %f %f %c %f %f", &o->spot, &o->strike, &o->rate, &o->yield,
			   &o->volatility, &o->time, &o->type, &o->dividends, &o->reference) != 9)
			return 1;
	}
	free(options);
	return fclose(file) != 0;
}

// The prices are the float32 of a file without a header.
static int print(const char *from, const char *to, double *began)
{
	FILE *file = fopen(from, "r");
	if (!file || fseek(file, 0, SEEK_END))
		return 1;
	size_t count = (size_t)ftell(file) / sizeof(float);
	float *prices = malloc(count * sizeof *prices);
	rewind(file);
	if (!prices || fread(prices, sizeof *prices, count, file) != count || fclose(file))
		return 1;
	*began = now();
	file = fopen(to, "w");
	if (!file || fprintf(file, "%zu\n", count) < 0)
		return 1;
	for (size_t i = 0; i < count; i++)
		if (fprintf(file, "%.18f\n", prices[i]) < 0)
			return 1;
	free(prices);
	return fclose(file) != 0;
}

// The floats on the standard input, as text, become their bits, in hexadecimal.
static int convert(void)
{
	char word[4096];
	while (scanf("%4095s", word) == 1) {
		float x = strtof(word, NULL);
		unsigned bits;
		memcpy(&bits, &x, sizeof bits);
		printf("%08x\n", bits);
	}
	return 0;
}

int main(int argc, char **argv)
{
	double began = now();
	int failed = 1;
	if (argc == 3 && !strcmp(argv[1], "scan"))
		failed = scan(argv[2]);
	else if (argc == 4 && !strcmp(argv[1], "print"))
		failed = print(argv[2], argv[3], &began);
	else if (argc == 2 && !strcmp(argv[1], "convert"))
		return convert();
	printf("%.9f\n", now() - began);
	return failed;
}
