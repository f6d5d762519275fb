def write(p):
    pass
