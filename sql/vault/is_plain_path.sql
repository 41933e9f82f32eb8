-- Whether a path means the same to whoever reads it: without segments that climb, empty ones, backslashes, parameters
-- and what decodes to these, also when it is decoded twice. The beginnings of paths that a secret is limited to say
-- nothing about others.
create or replace function vault.is_plain_path(path text) returns boolean
language sql immutable
as $$
    select path ~ '^/' and path !~* '\\|%5c|;|%3b|%25|%00'
        and decoded !~ '//' and decoded !~ '(^|/)\.{1,2}(/|$)'
    from (select regexp_replace(regexp_replace(path, '%2e', '.', 'gi'), '%2f', '/', 'gi') as decoded) d
$$;
