const char *built = __DATE__ " " __TIME__ " " __FILE__;
