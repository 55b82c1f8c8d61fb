/* The floor of a compiled cold start: a static program that ends at once. */
int main(void) { return 0; }
