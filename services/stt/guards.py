"""placeholder"""


def trusted_text(ids, first, decode, seconds, no_speech, logprob):
    out = []
    for i in ids:
        if i >= first:
            if out and (i - first) * 0.02 >= seconds - 0.3:
                break
        elif i < 50257:
            out.append(i)
    return decode(out).strip()
