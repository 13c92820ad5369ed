-- Purpose: the length of the comment at the beginning of a text, with the comments inside it. The
--   cost grows with the length of the text alone.
-- Returns: a number of characters; the length of the text when the comment has no end.
-- Raises: nothing.
-- Locks: none.
create or replace function async.comment_length(in_rest text)
returns int
language plpgsql immutable
as $function$
declare
  v_end constant int := strpos(substr(in_rest, 3), '*/');
  v_pieces text[];
  v_piece text;
  v_place int := 0;
  v_nested int := 1;
  v_length int := 2;
  -- Whether the slash before the piece, and the star at its beginning, belong to a delimiter already.
  v_slash_taken bool := true;
  v_star_taken bool;
begin
  if v_end = 0 then
    return length(in_rest);
  elsif strpos(substr(in_rest, 3, v_end), '/*') = 0 then
    return v_end + 3;
  end if;
  v_pieces := string_to_array(substr(in_rest, 3), '/');
  foreach v_piece in array v_pieces loop
    v_place := v_place + 1;
    v_length := v_length + length(v_piece);
    v_star_taken := not v_slash_taken and left(v_piece, 1) = '*';
    if v_star_taken then
      v_nested := v_nested + 1;
    end if;
    exit when v_place = cardinality(v_pieces);
    -- The slash behind the piece.
    v_length := v_length + 1;
    v_slash_taken := right(v_piece, 1) = '*' and not (v_star_taken and v_piece = '*');
    if v_slash_taken then
      v_nested := v_nested - 1;
      if v_nested = 0 then
        return v_length;
      end if;
    end if;
  end loop;
  return length(in_rest);
end
$function$;
