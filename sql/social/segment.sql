-- The number of a comment within a path: how many digits follow, then the number in base 36. So paths in the order of
-- their bytes are a thread, and no segment begins with another one.
create or replace function social.segment(number integer) returns text
language plpgsql immutable
as $$
declare
    digits constant text := '0123456789abcdefghijklmnopqrstuvwxyz';
    rest integer := number;
    written text := '';
begin
    loop
        written := substr(digits, rest % 36 + 1, 1) || written;
        rest := rest / 36;
        exit when rest = 0;
    end loop;
    return char_length(written) || written;
end
$$;
